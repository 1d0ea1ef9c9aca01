"""What a run tries again: on its own clock, as often as it should, and no other errors than it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chaos.errors import MeshError
from chaos.safety.retry import Unsettled, persist, settle
from chaos.testing.clock import VirtualClock


def in_turn(*outcomes: str | Exception) -> Callable[[], str]:
    """An attempt that has one outcome after the other, and the last one from then on."""
    left: Iterator[str | Exception] = iter(outcomes)
    outcome: str | Exception = ""

    def attempt() -> str:
        nonlocal outcome
        outcome = next(left, outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt


def test_a_clean_up_goes_on_until_nothing_is_wrong() -> None:
    clock, said = VirtualClock(), list[str]()
    begun = clock.now()
    assert persist(in_turn("a", "b", ""), clock=clock, deadline=60, pause=0.5, said=said.append) == ""
    assert (said, clock.now() - begun) == (["a", "b"], 1.0)


def test_a_clean_up_ends_at_its_deadline_with_what_is_wrong() -> None:
    clock, said = VirtualClock(), list[str]()
    begun = clock.now()
    assert persist(in_turn("a", "b"), clock=clock, deadline=2, pause=0.5, said=said.append) == "b"
    assert (said, clock.now() - begun) == (["a", "b", "b", "b", "b"], 2.0)


def test_a_clean_up_without_time_is_tried_once() -> None:
    clock, said = VirtualClock(), list[str]()
    assert persist(in_turn("a", ""), clock=clock, deadline=0, pause=0.5, said=said.append) == "a"
    assert said == ["a"]


def test_a_write_is_tried_again_while_its_fate_is_open() -> None:
    pauses: list[float] = []
    attempt = in_turn(Unsettled("no answer"), Unsettled("somebody's", status=409), "written")
    assert settle(attempt, tries=3, pause=0.3, sleep=pauses.append) == "written"
    assert pauses == [0.3, 0.3]


@pytest.mark.parametrize(
    ("error", "pauses"), [(Unsettled("no answer"), [0.3, 0.3]), (MeshError("forbidden", status=403), [])]
)
def test_a_write_that_fails_for_good_fails_as_it_did(error: MeshError, pauses: list[float]) -> None:
    slept: list[float] = []
    with pytest.raises(MeshError) as caught:
        settle(in_turn(error), tries=3, pause=0.3, sleep=slept.append)
    assert (caught.value, slept) == (error, pauses)
