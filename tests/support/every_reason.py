"""Every reason that a verdict can have, as users read it: each by a run on a shop in memory, or from a history of one.

``python -m tests.support.every_reason`` writes all of them below each other, for somebody who reads them at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from chaos.adapters.experiment_file import parse_experiment
from chaos.errors import MeshError, Stopped
from chaos.harness.harness import Harness
from chaos.judge import judge
from chaos.model.history import History, Mark
from chaos.model.marks import FROZEN
from chaos.model.verdict import Reason, ReasonCode, Verdict
from chaos.ports import Listener, Result
from chaos.reporting.prose import after_reasons
from chaos.reporting.record import write_record
from chaos.safety.lock import acquire
from chaos.testing.shop import Shop
from chaos.values.entry import Contact
from tests.support.histories import (
    EXPERIMENT,
    MARKS,
    SHARES,
    arrivals,
    history,
    is_faulted,
    orders,
    plan,
    requests_to_target,
    with_arrivals,
)
from tests.support.vacuous import WAYS, Way
from tests.support.vacuous import run as run_vacuous

_RUN: Final = "k3x9q2ab"
_ANSWERED: Final = '{title: orders are answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}'
_EXPERIMENT: Final = """\
experiment: orders-survive-inventory
target: {{namespace: {namespace}, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{{abort: {{percentage: 50, httpStatus: 503}}}}]
load: {{rate: 20, requests: [{{path: /orders/42}}]}}
steadyState: [{expected}]
guardrails: [{{title: checkout is on fire, service: order-svc, good: {{status: "<500"}}, atLeast: 30%}}]
recovery: {{within: 30s}}
profile: quick
limits: {{baseline: 20s, fault: 20s}}
"""


class _Heard(Listener):
    def __init__(self) -> None:
        self.verdict: Verdict | None = None

    def finished(self, result: Result) -> None:
        self.verdict = result.verdict


def _run(
    shop: Shop,
    happens: Callable[[Shop], object] | None = None,
    *,
    at: float = 8.0,
    expected: str = _ANSWERED,
    namespace: str = "staging",
    spoil: Callable[[Path], object] = lambda folder: None,
) -> Verdict:
    """The verdict of a run, during which something happens, or whose folder is spoilt."""
    heard = _Heard()
    if happens is not None:
        shop.clock.later(at, lambda: happens(shop))
    experiment = parse_experiment(_EXPERIMENT.format(namespace=namespace, expected=expected))
    with TemporaryDirectory() as folder, suppress(Stopped):
        spoil(Path(folder, "runs", _RUN))
        shop.harness(report_dir=folder, listeners=[heard]).run(experiment, run_id=_RUN)
    assert heard.verdict is not None
    return heard.verdict


def _not_injected(found: History) -> Verdict:
    """Of a run that ended after its baseline."""
    seen = (Mark.LOAD_STARTED, Mark.BASELINE_FROM, Mark.BASELINE_UNTIL, Mark.LOAD_STOPPED)
    return judge(found.model_copy(update={"marks": {mark: found.marks[mark] for mark in seen}}))


def _changed() -> Verdict:
    with TemporaryDirectory() as folder:
        record = write_record(history(), judge(history()), Path(folder)) / "record.json"
        record.write_text(record.read_text().replace('"restored":1060.1', '"restored":1060.2'))
        return Harness.judge(record)


def _held_by_another(shop: Shop) -> Shop:
    acquire(
        shop.mesh, namespace="staging", service="inventory-svc", run="hgfedcba", experiment="carts", owner="shop"
    ).stop()
    return shop


def _api_is_gone(shop: Shop) -> None:
    def gone() -> Any:
        raise MeshError("GET virtualservices: connection refused")

    known = shop.mesh.virtual_services
    shop.mesh.virtual_services = gone  # type: ignore[method-assign, assignment]
    shop.clock.later(60, lambda: setattr(shop.mesh, "virtual_services", known))


def _foreign_fault(shop: Shop) -> Shop:
    fault = {"abort": {"percentage": {"value": 2}, "httpStatus": 503}}
    route = {"route": [{"destination": {"host": "inventory-svc"}}], "fault": fault}
    shop.mesh.put({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "left", "namespace": "staging"}, "spec": {"hosts": ["inventory-svc"], "http": [route]},
    })  # fmt: skip
    return shop


_COMPARISON: Final = "sum(rate(orders_total[10s])) > 1"


def _without_data() -> Shop:
    shop = Shop()
    shop.metrics.unknown.add(_COMPARISON)
    return shop


def _changes_target(shop: Shop) -> None:
    (ours,) = shop.mesh.virtual_services()
    somebody = {"manager": "kubectl-edit", "operation": "Update", "time": "2027-01-15T08:00:20Z"}
    metadata = {**ours["metadata"], "managedFields": [somebody]}
    shop.mesh.put({**ours, "metadata": metadata, "spec": {**ours["spec"], "exportTo": ["*"]}})


def _lost_gateway() -> Shop:
    shop = Shop()
    shop.probe.answers = {"/orders/42": Contact(status=404, by_gateway=True)}
    return shop


def _without_flags() -> Shop:
    shop = Shop()
    shop.metrics.storage.without_labels = ("response_flags",)
    return shop


def _set(part: str, name: str, value: object) -> Callable[[Shop], object]:
    return lambda shop: setattr(getattr(shop, part), name, value)


def _vacuous(way: Way) -> Verdict:
    return run_vacuous(way)[1]


_ONLY_OURS: Final = EXPERIMENT.replace("callers: {app: order-svc}}", "callers: {app: order-svc}, onlyOurLoad: true}")
EVERY: Final[Mapping[ReasonCode, Callable[[], Verdict]]] = {
    **{way.reason: partial(_vacuous, way) for way in reversed(list(WAYS.values()))},
    ReasonCode.ALL_HELD: lambda: _run(Shop()),
    ReasonCode.NOT_STEADY_BEFORE: lambda: _run(Shop(broken=0.5)),
    ReasonCode.UNDECIDED_BEFORE: lambda: _run(Shop(broken=0.08)),
    ReasonCode.UNDECIDED_DURING_FAULT: lambda: _run(
        Shop(bears=0.8), expected=_ANSWERED.replace("atLeast: 90%", "atLeast: 80%, duringFault: 90%")
    ),
    ReasonCode.UNDECIDED_RECOVERY: lambda: judge(history(marks={**MARKS, Mark.LOAD_STOPPED: 1063.0})),
    ReasonCode.BURSTY: lambda: judge(history(order=orders(bad=lambda s: 1.0 if s in (1040, 1050) else 0.0))),
    ReasonCode.NO_TRAFFIC: lambda: _run(
        Shop(), expected=_ANSWERED.replace("service: order-svc", "service: order-svc, caller: order-svc-v2")
    ),
    ReasonCode.NO_DATA: lambda: _run(_without_data(), expected=f"{{title: orders come, promql: '{_COMPARISON}'}}"),
    ReasonCode.NO_CALLERS: lambda: _run(Shop(asks=0)),
    ReasonCode.CALLERS_WITHOUT_PROXY: lambda: _not_injected(with_arrivals(history(target=[]), arrivals("unknown"))),
    ReasonCode.FOREIGN_FAULT: lambda: _run(_foreign_fault(Shop())),
    ReasonCode.FAULT_NOT_SEEN: lambda: judge(history(shares={})),
    ReasonCode.FAULT_SHARE_OFF: lambda: judge(history(shares={**SHARES, "FI": 0.1})),
    ReasonCode.NOT_DISTRIBUTED: lambda: _run(Shop(), _set("mesh", "distribution", 300.0), at=1.0),
    ReasonCode.LOAD_STARVED: lambda: _run(Shop(kept=0.5)),
    ReasonCode.LOAD_DIED: lambda: _run(Shop(), _set("load", "died", "it was ended by SIGKILL")),
    ReasonCode.METRICS_LOST: lambda: _run(Shop(), _set("metrics", "lost", "Prometheus at … does not answer")),
    ReasonCode.METRICS_INCOMPLETE: lambda: _run(_without_flags()),
    ReasonCode.MESH_LOST: lambda: _run(Shop(), _api_is_gone, at=2.0),
    ReasonCode.TARGET_CHANGED: lambda: _run(Shop(), _changes_target),
    ReasonCode.INTERRUPTED: lambda: _run(Shop(), lambda _: signal.raise_signal(signal.SIGTERM)),
    ReasonCode.FROZEN: lambda: _run(Shop(), lambda shop: shop.mesh.annotate_namespace("staging", FROZEN, "release")),
    ReasonCode.HEADER_NOT_FORWARDED: lambda: judge(history(plan=plan(_ONLY_OURS), shares={})),
    ReasonCode.RECORD_LOST: lambda: _run(Shop(), spoil=lambda folder: Path(folder, "record.json").mkdir(parents=True)),
    ReasonCode.RECORD_CHANGED: _changed,
    ReasonCode.BROKEN: lambda: judge(history(marks={m: at for m, at in MARKS.items() if m is not Mark.INJECTED})),
    ReasonCode.EXPECTATION_VIOLATED: lambda: _run(Shop(bears=0.0)),
    ReasonCode.GUARDRAIL_TRIPPED: lambda: judge(history(order=orders(bad=lambda s: 0.8 if is_faulted(s) else 0.0))),
    ReasonCode.NOT_RECOVERED: lambda: _run(Shop(heals=120.0)),
    ReasonCode.FAULT_OUTSIDE_SCOPE: lambda: judge(
        history(target=[*requests_to_target(SHARES), *requests_to_target(SHARES, caller="cart-svc")])
    ),
    ReasonCode.RESIDUE: lambda: judge(history(residue=("VirtualService staging/chaos-r1-inventory-svc",))),
    ReasonCode.STILL_FAULTED: lambda: _run(Shop(), _set("mesh", "distribution", 45.0)),
    ReasonCode.STAGING_RULE: lambda: _run(Shop(), namespace="production"),
    ReasonCode.LOCKED: lambda: _run(_held_by_another(Shop())),
    ReasonCode.ENTRY_UNUSABLE: lambda: _run(_lost_gateway()),
}


@cache
def verdict_of(code: ReasonCode) -> Verdict:
    """A verdict with the reason, of a real run or history."""
    return EVERY[code]()


def reason_of(code: ReasonCode, verdict: Verdict | None = None) -> Reason:
    """The reason as its verdict has it."""
    verdict = verdict or verdict_of(code)
    found = [reason for reason in verdict.reasons if reason.code is code]
    assert found, verdict.reasons
    return found[0]


if __name__ == "__main__":
    for each in ReasonCode:
        whole = verdict_of(each)
        one = reason_of(each, whole)
        more = [f"hint: {one.hint}"] if one.hint else []
        more += [f"at the end: {line}" for line in after_reasons(whole)]
        sys.stdout.write("\n    ".join([f"{each} ({each.outcome})", one.message, *more]) + "\n\n")
