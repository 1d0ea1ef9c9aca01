"""Whatever happens after the fault: a recovery that is told is a range within the allowed time, and has stayed good since."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.judge import judge
from chaos.model.history import Mark
from chaos.values.answers import Answer
from tests.support.histories import EXPERIMENT, MARKS, history, is_faulted, orders, plan

_STAYS = 20
TEXT = EXPERIMENT.replace("stayGood: 3s", f"stayGood: {_STAYS}s").replace(
    '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}',
    '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 85%}',
)
stretches = st.lists(
    st.tuples(st.integers(1060, 1094), st.integers(1, 12), st.sampled_from([0.05, 0.2, 0.5, 1.0])), max_size=3
)


@settings(max_examples=60)
@given(found=stretches)
def test_a_recovery_is_a_range_and_has_stayed_good(found: list[tuple[int, int, float]]) -> None:
    def bad(second: int) -> float:
        return max((share for begin, length, share in found if begin <= second < begin + length), default=0.0)

    one = history(plan=plan(TEXT), order=orders(bad=lambda second: 0.0 if is_faulted(second) else bad(second)))
    verdict = judge(one)
    removal, recovery = verdict.removal, verdict.recovery
    if recovery is None or removal is None or recovery.answer is not Answer.HOLDS:
        return
    assert recovery.seconds is not None
    assert removal.seconds is not None
    assert 0 <= recovery.uncertainty <= recovery.seconds <= recovery.allowed
    gone = MARKS[Mark.RESTORED] + removal.seconds
    assert MARKS[Mark.LOAD_STOPPED] - gone - recovery.seconds >= _STAYS
    assert all(one.answer is Answer.HOLDS for one in recovery.expectations)
