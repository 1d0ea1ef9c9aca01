"""After the restore: no proxy may have the fault, none may be counted any more, and both have to have been seen.

The history's restore is acknowledged at 1060.1 and faults are counted up to the scrape at 1060.3; a second of delay.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.judge import judge
from chaos.model.history import History, Mark, ProxySeen
from chaos.model.verdict import Outcome, ReasonCode
from chaos.values.answers import Answer
from chaos.values.series import Series
from tests.support.histories import (
    EXPERIMENT,
    SHARES,
    grow,
    history,
    orders,
    plan,
    recovery_of,
    removal_of,
    requests_to_target,
    scraped_until,
    without,
)

_ENDED = 1096.0
_RESTORED = 1060.1
_BEFORE = ProxySeen(at=1030.4, having=1, of=1)


def looks(*seen: tuple[float, int]) -> tuple[ProxySeen, ...]:
    """One caller's proxy, asked a tenth of a second before each of these moments."""
    return (_BEFORE, *(ProxySeen(at=at, asked=at - 0.1, having=having, of=1) for at, having in seen))


def straggling(flags: str, *, until: int, code: str = "200") -> Series:
    return grow({"instance": "order-svc:15090", "source_workload": "order-svc", "source_workload_namespace": "staging",
                 "response_flags": flags, "response_code": code, "request_protocol": "http"}, lambda second: 5 if 1031 < second <= until else 0)  # fmt: skip


def codes(one: History) -> set[ReasonCode]:
    return {reason.code for reason in judge(one).reasons}


def test_the_proxies_tell_when_it_was_gone() -> None:
    seen = removal_of(history(proxies=looks((1060.3, 1), (1060.5, 0))), _ENDED)
    assert (seen.answer, seen.asked, seen.having) == (Answer.HOLDS, 1, 0)
    assert seen.seconds == pytest.approx(0.4)
    assert seen.uncertainty == pytest.approx(0.3), "it was there when it was asked last, at 1060.2"


def test_where_no_proxy_can_be_asked_the_counts_tell() -> None:
    for proxies in (looks(), (_BEFORE, ProxySeen(at=1060.2, having=0, of=0))):
        seen = removal_of(history(proxies=proxies), _ENDED)
        assert (seen.answer, seen.asked) == (Answer.HOLDS, 0)
        assert seen.seconds == pytest.approx(0.2), "the scrape at 1060.3 has the last ones"
        assert seen.uncertainty == pytest.approx(0.2), "all of them may have come before the acknowledgement"


def test_a_proxy_that_loses_it_late_is_told_and_recovery_starts_there() -> None:
    late = [*requests_to_target(SHARES), straggling("FI", until=1072, code="503")]
    one = history(target=late, proxies=looks((1060.3, 1), (1071.9, 1), (1072.1, 0)))
    verdict = judge(one)
    assert verdict.removal is not None
    assert verdict.removal.seconds == pytest.approx(12.0)
    assert verdict.passed, "within 30 s, and told"
    assert "gone from the proxies within 12.0 s" in verdict.reasons[0].message
    assert verdict.recovery is not None
    assert verdict.recovery.seconds == 0


def test_nothing_recovers_while_a_proxy_has_the_fault() -> None:
    one = history(proxies=looks((1060.3, 1), (1089.0, 1)))
    assert removal_of(one, 1089.5).answer is Answer.UNDECIDED
    assert recovery_of(one, 1089.5).answer is Answer.UNDECIDED


@pytest.mark.parametrize(
    ("target", "proxies"),
    [
        ([], looks((1060.3, 1), (1091.0, 1))),
        ([], looks((1060.3, 1), (1091.0, 1), (1091.3, 0))),
        ([straggling("FI", until=1093, code="503")], looks()),
        ([straggling("FI", until=1093, code="503")], looks((1060.3, 0))),
    ],
    ids=["still there", "gone too late", "counted, nobody asked", "counted, though the asked ones lost it"],
)  # fmt: skip
def test_a_fault_that_stays_longer_than_allowed_is_red(target: list[Series], proxies: tuple[ProxySeen, ...]) -> None:
    one = history(target=[*requests_to_target(SHARES), *target], proxies=proxies)
    assert removal_of(one, _ENDED).answer is Answer.VIOLATED
    verdict = judge(one)
    assert verdict.outcome is Outcome.CLEANUP_FAILED
    assert [reason.code for reason in verdict.reasons] == [ReasonCode.STILL_FAULTED]


def test_faults_that_nobody_asked_has_any_more_move_the_moment() -> None:
    """A proxy that was not asked, or somebody else's fault: no constant makes it a straggler."""
    one = history(
        target=[*requests_to_target(SHARES), straggling("FI", until=1066, code="503")], proxies=looks((1060.3, 0))
    )
    assert removal_of(one, 1067.0).answer is Answer.UNDECIDED
    seen = removal_of(one, 1075.0)
    assert seen.answer is Answer.HOLDS
    assert seen.seconds == pytest.approx(1066.3 - _RESTORED)
    assert seen.uncertainty == pytest.approx(1.0), "a scrape interval"


def test_requests_that_waited_meanwhile_are_not_new_faults() -> None:
    """A second of delay, and 20 ms of answering: what drew its delay before 1060.3 is counted by 1061.4 at the latest."""
    late = history(target=[*requests_to_target(SHARES), straggling("DI", until=1061)], proxies=looks((1060.3, 0)))
    assert removal_of(late, _ENDED).seconds == pytest.approx(0.2)
    # Counted by 1063.3, so drawn by 1062.3, a second and more after the proxies had lost it.
    later = history(target=[*requests_to_target(SHARES), straggling("DI", until=1063)], proxies=looks((1060.3, 0)))
    assert removal_of(later, _ENDED).seconds == pytest.approx(1062.3 - _RESTORED)


def test_a_series_that_is_born_after_the_restore_counts() -> None:
    born = straggling("FI", until=1066, code="500")
    born = born.model_copy(update={"samples": tuple((at, value) for at, value in born.samples if at > 1064)})
    one = history(target=[*requests_to_target(SHARES), born], proxies=looks((1060.3, 0)))
    assert removal_of(one, _ENDED).seconds == pytest.approx(1066.3 - _RESTORED)


def test_asking_that_ceases_leaves_it_to_the_counts() -> None:
    proxies = (*looks((1060.3, 1)), ProxySeen(at=1064.0, having=0, of=0))
    seen = removal_of(history(proxies=proxies), _ENDED)
    assert (seen.answer, seen.asked) == (Answer.HOLDS, 0)
    assert seen.seconds == pytest.approx(0.2), "not before the last proxy that said to have it"


def test_it_takes_scrapes_after_the_longest_delay() -> None:
    one = history()
    assert removal_of(one, 1062.5).answer is Answer.UNDECIDED
    assert removal_of(one, 1065.0).answer is Answer.HOLDS


@pytest.mark.parametrize("last", [1059.0, 1061.0, 1062.5])
def test_without_scrapes_nothing_was_seen(last: float) -> None:
    silent = scraped_until(history(), last)
    assert removal_of(silent, _ENDED).answer is Answer.UNDECIDED
    assert not judge(silent).passed


def test_a_proxy_that_is_gone_is_not_waited_for() -> None:
    series = [*requests_to_target(SHARES), grow({"instance": "second:15090", "source_workload": "order-svc",
              "source_workload_namespace": "staging", "response_flags": "-"}, lambda _: 10)]  # fmt: skip
    gone = scraped_until(history(target=series), 1061.0, instance="order-svc:15090")
    assert removal_of(gone, _ENDED).answer is Answer.HOLDS


def test_an_end_long_after_the_last_look_changes_nothing() -> None:
    assert judge(without(history(), ended=_ENDED + 600)).passed


def test_nothing_is_known_before_the_restore() -> None:
    marks = {mark: at for mark, at in history().marks.items() if mark is not Mark.RESTORED}
    assert removal_of(without(history(), marks=marks), _ENDED).answer is Answer.UNDECIDED


@pytest.mark.parametrize("mark", [Mark.INJECTED, Mark.RESTORE_SENT])
def test_a_restore_that_was_never_acknowledged_is_residue(mark: Mark) -> None:
    marks = {m: at for m, at in history().marks.items() if m not in (Mark.INJECTED, Mark.RESTORE_SENT, Mark.RESTORED)}
    verdict = judge(without(history(), marks={**marks, mark: 1060.0}))
    assert verdict.outcome is Outcome.CLEANUP_FAILED
    assert ReasonCode.RESIDUE in {reason.code for reason in verdict.reasons}


def rarely(until: int) -> list[Series]:
    """One fault in a hundred requests of one a second, up to a second; the proof is that of the run in which all held."""

    def of(flags: str, code: str, rate: Callable[[int], float]) -> Series:
        labels = {"instance": "order-svc:15090", "source_workload": "order-svc", "source_workload_namespace": "staging"}
        return grow({**labels, "response_flags": flags, "response_code": code}, rate)

    plain = of("-", "200", lambda second: 1 if 1000 <= second < 1095 else 0)
    faulted = of("FI", "503", lambda second: 1 if 1031 <= second <= until and second % 10 == 0 else 0)
    return [plain, faulted]


def test_silence_of_a_caller_that_is_rarely_hit_says_nothing() -> None:
    """A fault each ten seconds: two quiet scrapes come by chance, and so does half a minute."""
    by_counts = history(target=rarely(1060), proxies=looks())
    assert removal_of(by_counts, 1066.0).answer is Answer.UNDECIDED
    assert removal_of(by_counts, _ENDED).answer is Answer.UNDECIDED
    asked = history(target=rarely(1060), proxies=looks((1060.3, 0)))
    assert removal_of(asked, 1066.0).answer is Answer.HOLDS, "the proxies themselves said so"


@pytest.mark.parametrize(
    ("proxies", "ended"),
    [(looks((1086.0, 1)), 1096.0), (looks((1091.0, 0)), 1096.0)],
    ids=["nobody looked again", "first looked at late"],
)
def test_too_late_is_only_what_was_surely_there_too_late(proxies: tuple[ProxySeen, ...], ended: float) -> None:
    one = history(proxies=proxies, ended=ended)
    assert removal_of(one, ended).answer is Answer.UNDECIDED
    assert judge(one).outcome is Outcome.INCONCLUSIVE


def test_a_scrape_interval_longer_than_the_limit_makes_nothing_red() -> None:
    plan_ = plan(EXPERIMENT.replace("recovery:", "limits: {removal: 1s}\nrecovery:"))
    late = [*requests_to_target(SHARES), straggling("FI", until=1061, code="503")]
    seen = removal_of(history(plan=plan_, target=late, proxies=looks()), _ENDED)
    assert seen.answer is Answer.UNDECIDED, "by 1061.3, but maybe as soon as 1060.3"


def test_a_stream_that_drew_its_delay_before_may_end_at_any_time() -> None:
    stream = straggling("DI", until=1093)
    stream = stream.model_copy(update={"samples": tuple((at, 1.0) for at, _ in stream.samples if at > 1092)})
    one = history(target=[*requests_to_target(SHARES), stream], proxies=looks((1060.3, 0)))
    assert removal_of(one, _ENDED).answer is Answer.UNDECIDED
    assert judge(one).outcome is Outcome.INCONCLUSIVE


def test_what_waits_for_its_delay_does_not_move_the_moment() -> None:
    """By the counts alone: what is counted a delay later was drawn before, so recovery has no more time for it."""
    one = history(target=[*requests_to_target(SHARES), straggling("DI", until=1061)], proxies=looks())
    assert removal_of(one, _ENDED).seconds == pytest.approx(1060.3 - _RESTORED)


@pytest.mark.parametrize(("slow_until", "answer"), [(1080, Answer.UNDECIDED), (1095, Answer.VIOLATED)])
def test_requests_that_end_slowly_since_they_drew_a_delay_before_make_no_recovery_red(
    slow_until: int, answer: Answer
) -> None:
    """Twenty seconds of delay, five for the recovery: what is slow up to 1080.3 may have waited; what is slow later did not."""
    text = EXPERIMENT.replace("fixedDelay: 1s", "fixedDelay: 20s").replace("within: 20s", "within: 5s")
    slow = orders(slow=lambda second: 0.3 if 1031 <= second <= slow_until else 0.0)
    one = history(plan=plan(text), order=slow, proxies=looks((1060.3, 0)))
    assert recovery_of(one, _ENDED).answer is answer
