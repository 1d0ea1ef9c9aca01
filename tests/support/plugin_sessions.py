"""Sessions of pytest with the plugin, in which runs have happened already."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

GOOD = textwrap.dedent("""\
    experiment: {name}
    severity: critical
    tags: [nightly]
    target: {{namespace: staging, service: inventory-svc}}
    faults:
      - abort: {{percentage: 50, httpStatus: 503}}
    load: {{requests: [{{path: /orders/42}}]}}
    observe: {{atLeast: 3s}}
    recovery: {{stayGood: 3s}}
    steadyState:
      - {{title: answered, service: order-svc, good: {{status: "<500"}}, atLeast: 99%}}
""")
FAKE = textwrap.dedent("""\
    # A harness whose runs have happened already, so that what is tested is how they are told.
    import sys
    sys.path.insert(0, {root!r})
    from tests.support.histories import history, orders, is_faulted
    from chaos.harness.harness import Harness
    from chaos.judge import judge
    from chaos.ports import Result

    HISTORIES = {{
        "good": history(),
        "bad": history(order=orders(bad=lambda s: 0.2 if is_faulted(s) else 0)),
        "unsure": history(shares={{}}),
    }}

    class Stored(Harness):
        def __init__(self):
            super().__init__(place=None, watchdog=lambda plan, folder: None)

        def run(self, experiment, **source):
            one = HISTORIES[experiment.name.partition("-")[0]]
            verdict = judge(one).model_copy(update={{"experiment": experiment.name}})
            result = Result(history=one, verdict=verdict, folder=None)
            self._listeners().finish(result)
            return result

        def sweep(self):
            return []

        def active(self):
            return []

        def active_changes(self):
            return []

    def pytest_chaos_harness(config):
        return Stored()
""")
ROOT = Path(__file__).parents[2]
MESH = ["--chaos-context=c", "--chaos-prometheus=http://p", "--chaos-entry=http://e"]
# Their sockets and imports are not this test's business.
QUIET = ["-p", "no:hypothesispytest", "-p", "no:locust"]


def write(pytester: pytest.Pytester, *names: str) -> Path:
    folder = pytester.mkdir("experiments")
    for name in names:
        (folder / f"{name}.yaml").write_text(GOOD.format(name=name))
    return folder


def with_outcomes(pytester: pytest.Pytester, *names: str) -> None:
    write(pytester, *names)
    pytester.makeconftest(FAKE.format(root=str(ROOT)))
