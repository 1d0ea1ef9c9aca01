"""A PromQL comparison that must be true at every look."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, field_validator

from chaos.expectations.evidence import Evidence
from chaos.expectations.kind import Finding, Kind, Look, Phase
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.questions import Comparison, Question

_LOOKS: Final = 3
"""Looks at which it must be true, and at none false, before it holds."""


class PromqlExpectation(Kind):
    """A PromQL comparison, true where its result is not empty; it must be true at every look (``promql``).

        >>> PromqlExpectation("three replicas are up", promql="sum(up) >= 3").promql
        'sum(up) >= 3'

    Args:
        title: What is expected, in words.
        promql: The comparison.

    Raises:
        InputError: it is no comparison.
    """

    decides_by_chance: ClassVar[bool] = False

    promql: str = Field(description="a PromQL comparison, which is true if its result is not empty; no other key")

    if TYPE_CHECKING:

        def __init__(self, title: str, *, promql: str) -> None: ...

    @classmethod
    def recognises(cls, declared: Mapping[str, Any]) -> bool:
        """By its key."""
        return "promql" in declared

    @field_validator("promql")
    @classmethod
    def _compares(cls, value: str) -> str:
        if not re.search(r"[<>=!]=?", re.sub(r"\{[^}]*\}", "", value)):
            raise ValueError("expected a comparison, such as `sum(up) > 3`")
        return value

    def questions(self, namespace: str) -> Iterator[Question]:
        """The comparison as it is."""
        del namespace
        yield Comparison(promql=self.promql)

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated at the first look at which it is false; holds after some at which it was true."""
        good = total = 0
        for looks in evidence.counters(Comparison(promql=self.promql)):
            first, last = bisect_left(looks.times, look.window.start), bisect_right(looks.times, look.window.end)
            total += max(0, last - first)
            good += sum(value > 0 for value in looks.values[first:last])
        answer = Answer.HOLDS if total >= _LOOKS else Answer.UNDECIDED
        return Finding(
            answer if good == total else Answer.VIOLATED, Tally(good=good, total=total), 1.0, look.confidence
        )

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """By the looks."""
        tally = found.tally
        return ExpectationResult(
            title=self.title,
            phase=phase,
            expected=f"{self.promql} is true at every look",
            observed=f"true at {tally.good} of {tally.total} looks" if tally.total else "no look",
            bound=found.bound,
            tally=tally,
            answer=found.answer,
        )
