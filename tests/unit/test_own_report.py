"""A package of somebody else adds a report: by an entry point, by pytest's hook, and nothing of it can change a verdict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from chaos.model import events
from tests.own_report import PAGE, blocks, chat, install
from tests.support.plugin_sessions import MESH, QUIET, with_outcomes

pytest_plugins = ["pytester"]


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_pages_example_posts_each_verdict(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    with_outcomes(pytester, "good", "bad")
    use(monkeypatch, install(pytester.path / "site"))
    with chat() as (address, texts):
        monkeypatch.setenv("CHAT_WEBHOOK", address)
        found = pytester.runpytest_subprocess(*MESH, *QUIET, *(["-n", str(workers)] if workers else []))
    found.assert_outcomes(passed=1, failed=1)
    assert sorted(text.splitlines()[0] for text in texts) == ["*bad*: failed", "*good*: passed"]
    assert any(
        "- expectation-violated: 'answered' was violated during the fault: expected at least 99%" in text
        for text in texts
    )


# Listeners that fail in every way, by the names of their entry points, and what is told of each.
BROKEN = """\
import sys

import pytest
from chaos import Listener


class Raises(Listener):
    def finished(self, finished):
        raise OSError("no disk")


class Skips(Listener):
    def finished(self, finished):
        pytest.skip("not today")


class Exits(Listener):
    def __init__(self):
        sys.exit(0)
"""
TOLD = {
    "absent:Chat": "entry point report0 = absent:Chat of chat-verdict gives no listener: ModuleNotFoundError",
    "chat_verdict:Exits": "gives no listener: SystemExit: 0",
    "chat_verdict:sys.getsizeof": "gives no listener: TypeError",
    "builtins:dict": "gives no listener: expected a chaos.Listener, got a dict",
    "chat_verdict:Raises": "the listener chat_verdict.Raises is dropped: OSError: no disk",
    "chat_verdict:Skips": "the listener chat_verdict.Skips is dropped: Skipped: not today",
}


@pytest.mark.parametrize("workers", [0, 2])
def test_reports_that_fail_are_named_and_change_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    with_outcomes(pytester, "good", "bad")
    named = {f"report{number}": value for number, value in enumerate(TOLD)}
    use(monkeypatch, install(pytester.path / "site", code=BROKEN, **named))
    found = pytester.runpytest_subprocess(*MESH, *QUIET, *(["-n", str(workers)] if workers else []))
    found.assert_outcomes(passed=1, failed=1)
    _, _, after = found.stdout.str().partition("= chaos experiments =")
    notes = [line for line in after.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(TOLD), "each once"
    for told in TOLD.values():
        assert any(told in note for note in notes), told


def test_a_conftest_adds_listeners_by_the_hook(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good")
    own = """
    from pathlib import Path
    from chaos import Result, Listener

    class Lines(Listener):
        def finished(self, result: Result) -> None:
            with Path("verdicts.txt").open("a") as file:
                file.write(f"{result.verdict.experiment} {result.verdict.outcome}\\n")

    def pytest_chaos_listeners(item):
        assert item.name == "good"
        return [Lines()]
    """
    pytester.makepyfile(**{"experiments/conftest": own})
    pytester.makepyfile(broken="def pytest_chaos_listeners():\n    raise OSError('no disk')\n")
    found = pytester.runpytest_subprocess(*MESH, *QUIET, "-p", "broken")
    found.assert_outcomes(passed=1)
    assert (pytester.path / "verdicts.txt").read_text() == "good passed\n"
    found.stdout.fnmatch_lines(["note: the plugin broken gives no listener: OSError: no disk*"])


def test_the_pages_other_example_is_a_conftest(pytester: pytest.Pytester) -> None:
    with_outcomes(pytester, "good")
    (pytester.path / "experiments" / "conftest.py").write_text(blocks("python")[1])
    found = pytester.runpytest_subprocess(*MESH, *QUIET)
    found.assert_outcomes(passed=1)
    assert "note: " not in found.stdout.str()


def test_the_page_names_every_event_with_its_data() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    told = {(name, kind, frozenset(re.findall(r"`(\w+)`", data))) for name, kind, data in rows}
    union, _ = get_args(events.AnyEvent)
    assert told == {
        (kind.__name__, kind.model_fields["kind"].default, frozenset(kind.model_fields.keys() - {"at", "kind"}))
        for kind in get_args(union)
    }


def test_every_event_of_the_module_is_one_that_a_record_knows() -> None:
    union, _ = get_args(events.AnyEvent)
    assert set(get_args(union)) == set(events.Event.__subclasses__())


def test_every_event_has_a_sentence_of_its_data() -> None:
    data = {
        "at": 1.0, "namespace": "staging", "service": "inventory-svc", "answer": "undecided", "count": 3,
        "strategy": "patch", "name": "vs", "title": "on fire", "callers": ["a", "b"], "why": "409", "exact": False,
        "asked": 2, "left": "x", "stored": {"metadata": {"namespace": "n", "name": "vs"}}, "trouble": "frozen", "message": "m", "listener": "l", "text": "t",
            "object": "n/vs", "caller": "staging/order-svc", "host": "inventory-svc", "destination": "inventory-canary", "target": "staging/inventory-svc", "number": 1, "of": 2, "fault": "abort of 10%",
    }  # fmt: skip
    union, _ = get_args(events.AnyEvent)
    for kind in get_args(union):
        given = {name: data[name] for name in kind.model_fields if name != "kind"}
        sentence = kind(**given).sentence
        assert sentence
        assert "{" not in sentence


# A refused run is over at once, and all listeners hear of it.
SCRIPT = """\
import time

from chaos import Abort, Expectation, Experiment, Harness, Load, NoWatch, Place, Request, Settings, Target
from chaos.engine.clock import SystemClock
from chaos.testing.mesh import MemoryMesh


class Nothing:
    def now(self):
        return time.time()

    def scrape_interval(self):
        return 1.0

    def samples(self, question, *, seconds, at=None):
        return ()


place = Place.of(MemoryMesh(SystemClock()), Nothing(), Settings(), entry="http://127.0.0.1:1")
harness = Harness(place, watchdog=lambda plan, folder: NoWatch())
harness.run(Experiment(
    "scripted",
    target=Target("staging", "inventory-svc"),
    faults=[Abort(percentage=50, http_status=503)],
    load=Load(requests=[Request.get("/orders/42")]),
    profile="quick",
    steady_state=[Expectation("answered", service="order-svc", status="<500", at_least="99%")],
))
"""


def test_a_harness_of_a_script_uses_what_is_installed(tmp_path: Path) -> None:
    with chat() as (address, texts):
        environment = {**os.environ, **install(tmp_path / "site"), "CHAT_WEBHOOK": address}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert [text.splitlines()[0] for text in texts] == ["*scripted*: refused"]
