"""A verdict is green for a whole good history only."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.judge import judge
from chaos.model.events import Trouble, TroubleKind
from chaos.model.history import Mark
from tests.support.histories import ARRIVALS, history, is_faulted, orders, through_json

_GOOD = history()
_QUESTIONS = [recorded.question for recorded in _GOOD.recorded if recorded.question != ARRIVALS]
_NEEDED = sorted(set(_GOOD.marks) - {Mark.LOAD_STARTED})

losses = st.one_of(
    st.sampled_from(_NEEDED).map(lambda mark: ("mark", mark)),
    st.sampled_from(_QUESTIONS).map(lambda question: ("recorded", question)),
    st.tuples(st.sampled_from(_QUESTIONS), st.floats(990, 1050)).map(lambda cut: ("samples", cut)),
    st.integers(0, 80).map(lambda seconds: ("load", seconds)),
    st.sampled_from(list(TroubleKind)).map(lambda kind: ("trouble", kind)),
    st.just(("end", None)),
    st.just(("residue", None)),
)


@settings(max_examples=120)
@given(st.lists(losses, min_size=1, max_size=3))
def test_never_green_when_anything_is_missing(lost: list[tuple[str, Any]]) -> None:
    one = _GOOD
    for what, which in lost:
        changes: dict[str, Any]
        if what == "mark":
            changes = {"marks": {mark: at for mark, at in one.marks.items() if mark is not which}}
        elif what == "recorded":
            changes = {"recorded": tuple(r for r in one.recorded if r.question != which)}
        elif what == "samples":
            question, moment = which
            changes = {"recorded": tuple(
                r if r.question != question else r.model_copy(update={"series": tuple(
                    s.model_copy(update={"samples": tuple(x for x in s.samples if x[0] <= moment)}) for s in r.series
                )}) for r in one.recorded
            )}  # fmt: skip
        elif what == "load":
            changes = {"load": one.load[:which]}
        elif what == "trouble":
            changes = {"troubles": (*one.troubles, Trouble(at=1050.0, kind=which, message="m"))}
        elif what == "end":
            changes = {"ended": None}
        else:
            changes = {"residue": ("something",)}
        one = one.model_copy(update=changes)
    assert not judge(one).passed, lost


@settings(max_examples=25)
@given(
    shares=st.fixed_dictionaries({"FI": st.floats(0, 0.5), "DI": st.floats(0, 0.2), "DI,FI": st.floats(0, 0.2)}),
    bad=st.floats(0, 0.3),
)
def test_a_record_is_judged_as_the_run_was(shares: dict[str, float], bad: float) -> None:
    one = history(shares=shares, order=orders(bad=lambda second: bad if is_faulted(second) else 0))
    assert judge(through_json(one)) == judge(one)
