"""What is true of every kind of expectation."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from chaos.errors import InputError
from chaos.expectations import (
    KINDS,
    AnyExpectation,
    AttemptsExpectation,
    ClientExpectation,
    Expectation,
)
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Kind, Look
from chaos.values.answers import Answer
from tests.support.kinds import SAMPLES

LOOK = Look(phase="fault", window=Window(0, 100), namespace="staging", confidence=0.99)


def nothing() -> Evidence:
    return Evidence(scrape_interval=1.0, histogram_lag=5.0)


def test_every_kind_has_a_sample() -> None:
    assert {type(one) for one in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_a_kind_is_known_by_what_a_file_says_of_it(one: Kind) -> None:
    adapter: TypeAdapter[Kind] = TypeAdapter(AnyExpectation)
    assert adapter.validate_python(one.model_dump(mode="json", by_alias=True, exclude_none=True)) == one
    assert adapter.validate_python(one) is one


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_nothing_is_concluded_from_nothing(one: Kind) -> None:
    found = one.decide(nothing(), LOOK)
    told = one.tell(found, "fault")
    assert (found.answer, told.answer, told.tally.total) == (Answer.UNDECIDED, Answer.UNDECIDED, 0)
    assert told.observed.startswith("no ")


def test_what_python_users_get_wrong_is_told() -> None:
    with pytest.raises(InputError, match="either good, or status and within"):
        Expectation("t", service="s", good=Good(status="2xx"), within="1s", at_least="9%")
    with pytest.raises(InputError, match=r"at_most: '2x': expected a number over 0, such as 2, or 'baseline \* 2'"):
        AttemptsExpectation("t", attempts="s", at_most="2x")
    with pytest.raises(InputError, match="bucket bound"):
        Expectation("t", service="s", within="300ms", at_least="9%")
    with pytest.raises(InputError, match="only during_fault can be relative"):
        ClientExpectation("t", within="300ms", at_least="baseline")
    with pytest.raises(InputError, match="Expectation: status: 'fine'"):
        Expectation("t", service="s", status="fine", at_least="9%")
