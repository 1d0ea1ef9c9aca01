from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaos.model.verdict import Outcome, worst

outcomes = st.sampled_from(list(Outcome))


@given(outcomes, outcomes, outcomes)
def test_merging_is_associative_commutative_and_idempotent(a: Outcome, b: Outcome, c: Outcome) -> None:
    assert worst([worst([a, b]), c]) is worst([a, worst([b, c])]) is worst([a, b, c])
    assert worst([a, b]) is worst([b, a])
    assert worst([a, a]) is a
    assert worst([]) is Outcome.PASSED
    assert worst([a, Outcome.PASSED]) is a
