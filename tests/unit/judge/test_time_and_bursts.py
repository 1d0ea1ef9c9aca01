"""A phase lasts long enough to claim something, bursts are told, and what recovered has to stay so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.errors import InputError
from chaos.judge import judge
from chaos.judge.facts import Facts
from chaos.judge.live import baseline_answer, fault_answer
from chaos.model.experiment import Experiment, Observe
from chaos.model.history import Mark
from chaos.model.verdict import Outcome, ReasonCode, Verdict
from chaos.reporting.plan_text import plan_text
from chaos.reporting.prose import headline
from chaos.testing.shop import Shop
from chaos.values.answers import Answer
from tests.support.histories import EXPERIMENT, MARKS, experiment, history, is_faulted, orders, plan

DEFAULT = EXPERIMENT.replace("observe: {atLeast: 3s}\n", "").replace(", stayGood: 3s", "")


def codes(verdict: Verdict) -> set[ReasonCode]:
    return {reason.code for reason in verdict.reasons}


def test_a_phase_that_is_too_short_claims_nothing() -> None:
    """The fault of this history lasts 29.6 s, its recovery is looked at for 35 s."""
    seen = judge(history(plan=plan(DEFAULT)))
    assert codes(seen) == {ReasonCode.UNDECIDED_DURING_FAULT}
    assert judge(history(plan=plan(DEFAULT + "observe: {atLeast: 29s}\n"))).passed
    longer = judge(history(plan=plan(EXPERIMENT.replace("stayGood: 3s", "stayGood: 36s"))))
    assert codes(longer) == {ReasonCode.UNDECIDED_RECOVERY}


def test_nothing_is_violated_before_its_time_either() -> None:
    broken = history(plan=plan(DEFAULT), order=orders(bad=lambda second: 1.0 if is_faulted(second) else 0.0))
    start = MARKS[Mark.FAULT_FROM]
    assert fault_answer(Facts.of(broken), start + 29).answer is Answer.UNDECIDED
    assert baseline_answer(Facts.of(broken), MARKS[Mark.BASELINE_FROM] + 14).answer is Answer.UNDECIDED
    assert baseline_answer(Facts.of(broken), MARKS[Mark.BASELINE_FROM] + 16).answer is Answer.HOLDS


def test_one_burst_decides_neither_way() -> None:
    """Two seconds of errors: 7 % of the phase's answers, at a bound of 99 %."""
    burst = judge(history(order=orders(bad=lambda second: 1.0 if second in (1040, 1041) else 0.0)))
    assert burst.outcome is Outcome.INCONCLUSIVE
    (reason,) = burst.reasons
    assert reason.code is ReasonCode.BURSTY
    assert "bad events came in bursts" in reason.message
    assert "raise limits.fault and observe.atLeast" in (reason.hint or "")


def test_a_burst_at_the_start_of_a_fault_hides_no_violation_after_it() -> None:
    """All answers are errors until a breaker opens, and 3 % from then on."""

    def opening(second: int, later: float) -> float:
        return 1.0 if 1031 <= second < 1036 else later if is_faulted(second) else 0.0

    broken = judge(history(order=orders(bad=lambda second: opening(second, 0.03))))
    assert codes(broken) == {ReasonCode.EXPECTATION_VIOLATED}
    assert "without the first 8 s, which were unlike the rest" in broken.reasons[0].message
    assert codes(judge(history(order=orders(bad=lambda second: opening(second, 0.0))))) == {ReasonCode.BURSTY}


def test_errors_of_a_fault_s_first_seconds_count_where_slow_answers_are_waited_for() -> None:
    """What holds rests on events after the longest delay (1 s); 4 % of all answers are errors before that."""
    early = judge(history(order=orders(bad=lambda second: 1.0 if second == 1032 else 0.0)))
    assert early.outcome is Outcome.INCONCLUSIVE
    assert "2700 of 2800" in early.reasons[0].message


def test_as_many_errors_all_along_are_a_violation() -> None:
    steady = judge(history(order=orders(bad=lambda second: 0.07 if is_faulted(second) else 0.0)))
    assert codes(steady) == {ReasonCode.EXPECTATION_VIOLATED}


def test_a_relapse_is_no_recovery_before_it() -> None:
    """Good at once, bad again for three seconds after twelve, good from then on."""
    relapsed = judge(history(order=orders(bad=lambda second: 1.0 if 1072 <= second < 1075 else 0.0)))
    assert relapsed.recovery is not None
    assert relapsed.recovery.seconds is not None
    assert 14 <= relapsed.recovery.seconds <= 16
    assert relapsed.recovery.seconds - relapsed.recovery.uncertainty >= 10
    for_ever = EXPERIMENT.replace("within: 20s, stayGood: 3s", "within: 10s, stayGood: 20s")
    late = judge(
        history(plan=plan(for_ever), order=orders(bad=lambda s: 1.0 if 1072 <= s < 1075 or 1080 <= s < 1085 else 0.0))
    )
    assert late.outcome is not Outcome.PASSED


def test_a_relapse_after_the_allowed_time_is_not_outweighed_by_good_minutes() -> None:
    """A low bound holds over all of the time; still, what was surely not good for two seconds did not stay good."""
    text = EXPERIMENT.replace("within: 20s, stayGood: 3s", "within: 10s, stayGood: 24s").replace(
        'good: {status: "<500"}, atLeast: 99%}', 'good: {status: "<500"}, atLeast: 50%}', 1
    )
    text += "confidence: 50%\n"
    steady = judge(history(plan=plan(text)))
    assert steady.passed, steady.reasons
    relapsed = judge(history(plan=plan(text), order=orders(bad=lambda s: {1083: 1.0, 1084: 0.5}.get(s, 0.0))))
    (reason,) = relapsed.reasons
    assert reason.code is ReasonCode.UNDECIDED_RECOVERY
    assert "surely violated for a time that ended 23 s after the fault was gone" in reason.message


def test_answers_that_were_slow_at_the_end_of_the_fault_keep_the_recovery_from_being_seen_at_once() -> None:
    """Histograms trail by up to five seconds, so the first five seconds after the fault may be the fault's."""
    slow = judge(history(order=orders(slow=lambda second: 0.5 if 1057 <= second <= 1063 else 0.0)))
    assert slow.recovery is not None
    assert slow.recovery.seconds is not None
    assert slow.recovery.seconds >= 3


def test_a_relative_bound_compares_two_uncertain_shares() -> None:
    """With 2 % of errors before and during it, a margin of half a percent can't be told from nothing by so few answers."""
    text = EXPERIMENT.replace(
        '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}',
        '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 95%, duringFault: baseline - 0.5%}',
    )
    same = judge(history(plan=plan(text), order=orders(bad=lambda second: 0.02)))
    assert codes(same) == {ReasonCode.UNDECIDED_DURING_FAULT}
    (reason,) = same.reasons
    assert "the bound is uncertain, too" in reason.message
    assert (reason.hint or "").startswith(
        "raise observe.atLeast or load.rate, so that the share before the fault is known better"
    )
    worse = judge(history(plan=plan(text), order=orders(bad=lambda second: 0.2 if is_faulted(second) else 0.02)))
    assert codes(worse) == {ReasonCode.EXPECTATION_VIOLATED}


def test_profiles() -> None:
    declared = experiment(DEFAULT)
    assert (declared.observed_for, declared.stays_good_for) == (timedelta(seconds=30), timedelta(seconds=30))
    assert declared.in_profile("nightly").observed_for == timedelta(seconds=60)
    own = Experiment.model_validate(declared.model_copy(update={"observe": Observe("45s")}))
    assert own.in_profile("nightly").observed_for == timedelta(seconds=45), "what is declared stays"
    assert own.in_profile("quick").observed_for == timedelta(seconds=3), "but for trying, it does not"


def test_a_quick_verdict_says_so_and_a_plan_what_it_does_not_see() -> None:
    quick = judge(history(plan=plan(DEFAULT + "profile: quick\n")))
    assert headline(quick).startswith("passed (quick, for trying only, all-held)")
    assert "more rarely than every 7.3 s on average may be missed" in plan_text(plan(DEFAULT))


@pytest.mark.parametrize("limits", ["{fault: 20s}", "{baseline: 10s}"])
def test_a_limit_has_room_for_its_phase(limits: str) -> None:
    with pytest.raises(InputError, match=r"is shorter than .*observe.atLeast"):
        experiment(f"{DEFAULT}limits: {limits}\n")
    assert experiment(f"{DEFAULT}profile: quick\nlimits: {limits}\n").profile == "quick"


def test_a_recovery_that_no_scrape_could_show_is_refused() -> None:
    shop = Shop(scrape_interval=15.0)
    soon = parse_experiment(DEFAULT.replace("within: 20s", "within: 10s"))
    with shop.harness() as harness:
        refused = harness.plan(soon)
        assert [one.rule for one in refused.refusals] == ["cannot-decide"]
        assert "scraped every 15 s" in refused.refusals[0].message
        assert not harness.plan(parse_experiment(DEFAULT.replace("within: 20s", "within: 15s"))).refusals
