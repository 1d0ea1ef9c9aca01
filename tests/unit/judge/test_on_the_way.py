"""While a fault comes to the proxies, or leaves them: what surely had it is judged, the rest can only leave undecided.

The synthetic history's fault is written at 1030.0, in the proxies from 1030.4 on, and restored at 1060.0.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.judge import judge
from chaos.model.history import History, ProxySeen
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop
from tests.support.defects.experiment import DECLARED, DEGRADED, FOR_A_WHILE, FORM, expecting, run
from tests.support.defects.variants import Variant, changes
from tests.support.histories import EXPERIMENT, history, orders, plan

HALF = EXPERIMENT.replace('good: {status: "<500"}, atLeast: 99%}', 'good: {status: "<500"}, atLeast: 50%}', 1)
LONG = tuple(ProxySeen(at=at, having=having, of=1) for at, having in ((1030.4, 1), (1075.0, 1), (1075.2, 0)))
"""The caller's proxy had the fault for 15 s after it was restored."""


def seen(bad: Callable[[int], float], *, text: str = EXPERIMENT, proxies: tuple[ProxySeen, ...] = LONG) -> History:
    return history(plan=plan(text), order=orders(bad=bad), proxies=proxies)


def codes(verdict: Verdict) -> set[ReasonCode]:
    return {reason.code for reason in verdict.reasons}


def leaving(*steps: tuple[float, float]) -> Verdict:
    """A run whose fault leaves the proxies 28 s after it was restored; from when on after that which share of the orders fails."""
    broken = [(seconds, {"broken": share}) for seconds, share in steps]
    return run({}, Variant(later=changes("restore", *broken), distribution=28.0))


def test_errors_all_along_while_the_fault_leaves_are_a_violation() -> None:
    """The fault was decided after some seconds, without an error."""
    verdict = leaving((0, 0.2), (28, 0.0))
    assert codes(verdict) == {ReasonCode.EXPECTATION_VIOLATED}
    assert "500 for" in verdict.fault[0].observed, "the statuses are of the same time"


def test_an_outage_while_the_fault_leaves_is_undecided() -> None:
    (reason,) = leaving((5, 1.0), (9, 0.0)).reasons
    assert reason.code is ReasonCode.UNDECIDED_DURING_FAULT
    assert "in the fault's last seconds" in reason.message
    assert "only a part of the callers' proxies may still have had it" in reason.message
    assert "observe.atLeast" in (reason.hint or "")


def test_what_still_holds_with_it_is_no_reason() -> None:
    assert judge(seen(lambda second: 1.0 if second in (1065, 1066) else 0.0, text=HALF)).passed


def test_after_the_fault_it_is_the_recovery_s() -> None:
    verdict = judge(seen(lambda second: 1.0 if second in (1076, 1077) else 0.0))
    assert verdict.passed
    assert verdict.recovery is not None
    assert verdict.recovery.told == "within 2.1 s"


def test_an_outage_before_all_proxies_have_the_fault_is_undecided() -> None:
    verdict = judge(seen(lambda second: 1.0 if second == 1030 else 0.0, proxies=()))
    (reason,) = verdict.reasons
    assert reason.code is ReasonCode.UNDECIDED_DURING_FAULT
    assert "in the fault's first seconds" in reason.message


@pytest.mark.parametrize(("bound", "passes"), [("80%", True), ("99%", False)])
def test_the_run_goes_on_until_the_whole_fault_holds(bound: str, passes: bool) -> None:
    """A second of errors while the fault arrives: two minutes outweigh it where a fifth may be bad."""
    broken = Variant(later=changes("fault", (1, {"broken": 1.0}), (2, {"broken": 0.0})), arrival=3.0)
    declared = expecting(
        f'service: order-svc, good: {{status: "<500"}}, atLeast: {bound}',
        fault="abort: {percentage: 90, httpStatus: 503}",
    )
    assert run(declared | FOR_A_WHILE, broken).passed is passes


def test_what_only_the_fault_brings_about_is_not_asked_while_it_leaves() -> None:
    undegraded = Variant({}, changes("restore", (0, {"degrades": 0.0})), distribution=20.0)
    assert run(expecting(DEGRADED) | FOR_A_WHILE, undegraded).passed


def test_a_restore_whose_acknowledgement_is_late_proves_no_fault() -> None:
    """No look at a proxy, and no fault that was counted, says that the fault was there after the restore was sent."""
    late = seen(lambda second: 0.08 if 1060 <= second < 1070 else 0.0, proxies=())
    assert ReasonCode.EXPECTATION_VIOLATED not in codes(judge(late))


def test_where_nobody_tells_when_the_fault_was_gone_what_failed_then_is_undecided() -> None:
    """Scrapes every 15 s, no proxy may be asked, and orders fail for ten seconds after the fault: it may have been before its end."""
    shop = Shop(scrape_interval=15, heals=10.0)
    shop.mesh.answers_exec = False
    (reason,) = shop.harness().run(parse_experiment(FORM.format(**{**DECLARED, **FOR_A_WHILE}))).verdict.reasons
    assert reason.code is ReasonCode.UNDECIDED_DURING_FAULT
    assert "is known to 15 s only" in reason.message
    assert "pods/exec" in (reason.hint or "")
