"""A machine that is slow for a moment is no fault of the system: such a run is never red, and says what was slow."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chaos import Abort, ClientExpectation, Delay, Expectation, Experiment, Load, Outcome, Recovery, Request, Target
from chaos.adapters.experiment_file import parse_experiment
from chaos.faults.fault import Fault
from chaos.model.history import PhaseName
from chaos.model.verdict import ReasonCode, Verdict
from chaos.ports import Listener
from chaos.testing.shop import Shop
from chaos.values.answers import Answer
from tests.support.repository import ROOT

SHIPPED = sorted((ROOT / "experiments").glob("*.yaml"))
PHASES = (PhaseName.BASELINE, PhaseName.PROVE, PhaseName.OBSERVE, PhaseName.RECOVER)


class Stalling(Listener):
    """Lets the machine stand still some time after a phase begins."""

    def __init__(self, shop: Shop, phases: tuple[PhaseName, ...], *, seconds: float, after: float = 2.0) -> None:
        self._shop, self._phases, self._seconds, self._after = shop, phases, seconds, after

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        if phase in self._phases:
            self._shop.clock.later(self._after, lambda: self._shop.stall(self._seconds))


def run(shop: Shop, listener: Listener, *expected: ClientExpectation | Expectation, rate: float = 80) -> Verdict:
    experiment = Experiment(
        "orders",
        target=Target("staging", "inventory-svc", callers={"app": "order-svc"}),
        faults=[Fault(abort=Abort(percentage=50, http_status=503), delay=Delay(percentage=30, fixed_delay="300ms"))],
        load=Load(rate=rate, requests=[Request("/orders/42")]),
        steady_state=expected,
        recovery=Recovery("30s"),
    )
    with TemporaryDirectory() as folder:
        return shop.harness(report_dir=folder, listeners=[listener]).run(experiment).verdict


ANSWERED = Expectation("orders are answered", service="order-svc", status="<500", at_least="99%")
SLOW = ClientExpectation("at most 300 ms", status="<500", within="300ms", at_least="99%")
# The shop in memory answers without "stock: unknown", which the fallback of this experiment is recognised by.
_FALLBACK = re.compile(r"  - title: orders without a stock.*?atMost: 2%\n", re.DOTALL)


def shipped(file: Path, phases: tuple[PhaseName, ...], seconds: float) -> Verdict:
    """The verdict of an experiment that comes with the harness, at a shop with a time-out."""
    experiment = parse_experiment(_FALLBACK.sub("", file.read_text()))
    shop = Shop(time_out=0.6)
    with TemporaryDirectory() as folder:
        stalling = Stalling(shop, phases, seconds=seconds)
        return shop.harness(report_dir=folder, listeners=[stalling]).run(experiment).verdict


@pytest.mark.parametrize(("phase", "seconds"), list(zip(PHASES, (1, 3, 2, 3), strict=True)))
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_machine_that_stands_still_for_a_moment_changes_no_verdict(
    file: Path, phase: PhaseName, seconds: float
) -> None:
    verdict = shipped(file, (phase,), seconds)
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_once_in_every_phase_is_endured_too(file: Path) -> None:
    verdict = shipped(file, PHASES, 1)
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize("seconds", [1, 3])
def test_a_stall_hides_no_slow_system(seconds: float) -> None:
    shop = Shop()
    verdict = run(shop, Stalling(shop, (PhaseName.OBSERVE,), seconds=seconds, after=0.5), SLOW)
    assert verdict.outcome is Outcome.FAILED, "almost a third of the orders took 320 ms"


class Sluggish(Listener):
    """Lets the machine stand still again and again before the fault."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        if phase is PhaseName.BASELINE:
            for place in range(6):
                self._shop.clock.later(2.0 + 3 * place, lambda: self._shop.stall(2))


def test_what_only_a_starved_generator_counted_is_no_failure_and_figures_say_what_was_slow() -> None:
    shop = Shop()
    verdict = run(shop, Sluggish(shop), SLOW)
    assert verdict.fault[0].answer is Answer.VIOLATED
    assert verdict.outcome is Outcome.INCONCLUSIVE
    (reason,) = verdict.reasons
    assert reason.code is ReasonCode.LOAD_STARVED
    assert re.search(
        r"in \d+ of \d+ seconds it was over 0.3 s late, at most 2.0 s, \d+ s after the run began", reason.message
    )


def test_what_the_mesh_counted_is_a_failure_whatever_the_generator_did() -> None:
    verdict = run(Shop(bears=0.5, kept=0.5), Listener(), ANSWERED, SLOW)
    assert verdict.outcome is Outcome.FAILED
    assert [reason.code for reason in verdict.reasons] == [ReasonCode.EXPECTATION_VIOLATED, ReasonCode.LOAD_STARVED]
    assert "orders are answered" in verdict.reasons[0].message


def test_on_the_lab_the_machine_that_starved_the_generator_starved_the_shop_too() -> None:
    shop = Shop(bears=0.5, kept=0.5)
    shop.lab = True
    verdict = run(shop, Listener(), ANSWERED)
    assert verdict.fault[0].answer is Answer.VIOLATED
    assert (verdict.outcome, verdict.reasons[0].code) == (Outcome.INCONCLUSIVE, ReasonCode.LOAD_STARVED)
