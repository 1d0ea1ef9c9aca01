"""Whatever a listener does, the run goes on, and whoever failed is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from chaos.engine.listeners import Listeners
from chaos.judge import judge
from chaos.model.history import PhaseName
from chaos.ports import Listener, Result
from tests.support.histories import history, plan
from tests.support.waiting import until

GOOD = history()
END = Result(history=GOOD, verdict=judge(GOOD))


class Hearing(Listener):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        self.heard.append(f"{run} {phase}")

    def finished(self, result: Result) -> None:
        self.heard.append(result.verdict.outcome)


class Failing(Listener):
    """Does something else instead."""

    def __init__(self, fail: Callable[[], object]) -> None:
        self._fail = fail

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        self._fail()

    def finished(self, result: Result) -> None:
        self._fail()


def exit_now() -> None:
    raise SystemExit(0)


def skip() -> None:
    pytest.skip("not today")


def enter(listener: Listener, phase: PhaseName = PhaseName.OBSERVE) -> None:
    listener.phase("r1", phase, 1.0)


def waiting(event: threading.Event) -> Callable[[object], None]:
    def wait(_: object) -> None:
        event.wait()

    return wait


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("mute")


def raise_mute() -> None:
    raise Mute


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (raise_mute, "Mute: it can't say what went wrong"),
        (exit_now, "SystemExit: 0"),
        (skip, "Skipped: not today"),
    ],
)
def test_one_that_raises_is_named_and_dropped(fail: Callable[[], object], why: str) -> None:
    said: list[str] = []
    before, after = Hearing(), Hearing()
    listeners = Listeners([before, Failing(fail), after], say=said.append)
    ((name, told),) = listeners.tell(enter)
    assert name == "tests.unit.engine.test_listeners.Failing"
    assert told.startswith(why)
    assert __file__ in told or "_pytest" in told, "where it was raised"
    assert said == [f"the listener {name} is dropped: {told}"]
    assert listeners.tell(enter) == [], "it is not asked again"
    listeners.finish(END)
    assert before.heard == after.heard == ["r1 observe", "r1 observe", "passed"]
    assert len(said) == 1


@pytest.mark.parametrize("fail", [lambda: 1 / 0, exit_now, skip, raise_mute])
def test_one_that_raises_at_the_end_changes_no_verdict(fail: Callable[[], object]) -> None:
    said: list[str] = []
    after = Hearing()
    Listeners([Failing(fail), after], say=said.append).finish(END)
    assert after.heard == ["passed"]
    assert len(said) == 1


def test_those_that_hang_hold_up_a_run_once_and_together() -> None:
    never, after = threading.Event(), Hearing()
    listeners = Listeners([Failing(never.wait), after, Failing(never.wait)], patience=0.3, returns=60)
    began = time.monotonic()
    try:
        assert [listeners.tell(enter) for _ in range(5)] == [[]] * 5, "the run goes on without them"
        assert time.monotonic() - began < 1.5, "each call of each would take 3 s"
        until(lambda: after.heard == ["r1 observe"] * 5, what="all of it, also where a busy machine let it fall behind")
    finally:
        never.set()


def test_one_that_never_returns_is_told_nothing_at_the_end() -> None:
    never, said, after = threading.Event(), list[str](), Hearing()
    listeners = Listeners([Failing(never.wait), after], say=said.append, patience=0.01, returns=0.02)
    try:
        listeners.tell(enter)
        listeners.finish(END)
    finally:
        never.set()
    assert [one.partition(": ")[2] for one in said] == ["it did not return within 0.02 s"]
    assert after.heard[-1] == "passed"


def test_one_that_never_returns_is_dropped_while_the_run_goes_on() -> None:
    never, said = threading.Event(), list[str]()
    listeners = Listeners([Failing(never.wait)], say=said.append, patience=0.01, returns=0.02)
    try:
        dropped = until(lambda: listeners.tell(enter))
    finally:
        never.set()
    assert [why for _, why in dropped] == ["it did not return within 0.02 s"]
    assert listeners.tell(enter) == []


def test_one_that_was_behind_hears_all_in_its_order() -> None:
    go, listener = threading.Event(), Hearing()
    listeners = Listeners([listener], patience=0.01, returns=60)
    listeners.tell(waiting(go))
    for phase in (PhaseName.PROVE, PhaseName.OBSERVE, PhaseName.RESTORE):
        listeners.tell(partial(enter, phase=phase))
    assert listener.heard == []
    go.set()
    listeners.finish(END)
    assert listener.heard == ["r1 prove", "r1 observe", "r1 restore", "passed"]


def test_a_terminal_that_hangs_holds_up_no_run() -> None:
    never = threading.Event()
    listeners = Listeners([Failing(lambda: 1 / 0)], say=waiting(never), patience=0.01)
    try:
        ((_, why),) = until(lambda: listeners.tell(enter))  # what fails later than within 10 ms is told the next time
    finally:
        never.set()
    assert why.startswith("ZeroDivisionError")


def test_the_end_is_told_on_the_thread_of_the_run() -> None:
    threads: list[threading.Thread] = []
    listeners = Listeners([Failing(lambda: threads.append(threading.current_thread()))])
    listeners.finish(END)
    assert threads == [threading.current_thread()]


def test_a_word_that_nobody_can_read_any_more_does_not_matter() -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError

    assert len(Listeners([Failing(lambda: 1 / 0)], say=broken).tell(enter)) == 1


def test_what_is_not_overridden_does_nothing() -> None:
    listener = Listener()
    listener.started(plan())
    enter(listener)
    listener.finished(END)
