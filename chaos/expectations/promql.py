"""A PromQL comparison that must be true at every look whose windows lie within the phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import dropwhile
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field, ValidationInfo, field_validator

from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.scene import Scene
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.declared import is_recorded
from chaos.values.promql import check_comparison, read_comparison, true_without_data
from chaos.values.quantities import format_duration, format_number
from chaos.values.questions import COMPARED, FALSE, LEAST, MOST, NO_DATA, TRUE, Comparison, Question
from chaos.values.remarks import Warn

_LOOKS: Final = 3
"""Looks at which it must be true, and at none false, before it holds."""

_NO_DATA_HINT: Final = (
    "check in Prometheus that the series exist during the whole run. If a missing series means zero, write so in the comparison, "
    "such as `(sum(rate(orders_total[10s])) or vector(0)) > 1`"
)
_WINDOW_HINT: Final = "raise limits.baseline and limits.fault, or use shorter windows in the comparison"


class PromqlExpectation(Kind):
    """A PromQL comparison, true where its result is not empty; it must be true at every look (``promql``).

    A look counts once everything that the comparison looks at lies within the phase: its windows (``[1m]``), its offsets, and
    one scrape. Where there are no data, it is neither true nor false.

        >>> PromqlExpectation("three replicas are up", promql="sum(up) >= 3").promql
        'sum(up) >= 3'

    Args:
        title: What is expected, in words.
        promql: The comparison.

    Raises:
        InputError: it is no comparison, or one that can't be both true and false.
    """

    key: ClassVar[str] = "promql"
    decides_by_chance: ClassVar[bool] = False
    tallies_all_bad: ClassVar[bool] = True

    promql: str = Field(description="a PromQL comparison, which is true if its result is not empty; no other key")

    if TYPE_CHECKING:

        def __init__(self, title: str, *, promql: str) -> None: ...

    @field_validator("promql")
    @classmethod
    def _compares(cls, value: str, info: ValidationInfo) -> str:
        if not is_recorded(info):
            check_comparison(value)
        return value

    def fits(self, phase: timedelta) -> None:
        """Its windows must lie within a phase at some looks."""
        back = read_comparison(self.promql).looks_back
        if back >= phase:
            raise ValueError(
                f"{self.title}: the comparison looks back {format_duration(back)}, and a phase lasts {format_duration(phase)} at most: "
                "it would look at the time before it; use shorter windows, or raise limits.baseline and limits.fault"
            )

    def takes(self, phase: Prospect) -> Takes:
        """Its windows and a scrape have to lie within the phase."""
        back = read_comparison(self.promql).looks_back.total_seconds()
        return Takes(
            seconds=back + phase.interval,
            key="promql",
            value=self.promql,
            why=f"it looks back {back:g} s, and the metrics are scraped every {phase.interval:g} s",
        )

    def answered_always(self, namespace: str) -> Iterator[Comparison]:
        """Whether there are the series without which it is true."""
        del namespace
        yield from (Comparison(promql=one) for one in true_without_data(self.promql))

    def unshown(self, scene: Scene) -> Iterator[Warn]:
        """Nothing tells a misspelled name from a series that is not there yet."""
        missing = [one.promql for one in self.answered_always(scene.namespace) if one in scene.unanswered]
        if missing:
            yield Warn(
                code="true-without-data",
                message=f"{self.title}: {', '.join(missing)} had no data when the run was planned, and without data the comparison is true; check the names "
                "in Prometheus, since one that is misspelled would go unnoticed",
                weakens=True,
            )

    def questions(self, namespace: str) -> Iterator[Question]:
        """The comparison as it is."""
        del namespace
        yield Comparison(promql=self.promql)

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated at the first look at which it is false; holds after some at which it was true, if none was without data.

        Data may be missing until they come for the first time, which is in the baseline. A stop condition acts at once, also on
        a window that begins before the fault.
        """
        window = look.window
        if not look.at_once:
            back = read_comparison(self.promql).looks_back.total_seconds() + evidence.scrape_interval
            window = Window(window.start + back, window.end)
        held: list[float] = []
        seen: dict[str, list[float]] = {}
        for one in evidence.counters(Comparison(promql=self.promql)):
            values = one.values[one.inside(window.start, window.end)]
            if which := one.labels.get(COMPARED):
                seen[which] = values
            else:
                held = values
        if look.phase == "baseline":
            held = list(dropwhile(lambda value: value == NO_DATA, held))
        good, bad = held.count(TRUE), held.count(FALSE)
        answer = Answer.VIOLATED if bad else Answer.HOLDS if good == len(held) >= _LOOKS else Answer.UNDECIDED
        missing = answer is Answer.UNDECIDED and (good < len(held) or (not held and window.start < window.end))
        return Finding(
            answer, Tally(good=good, total=good + bad), 1.0, look.confidence, seen=_values(seen), missing=missing
        )

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """By the looks, with the values that were compared."""
        reading = read_comparison(self.promql)
        tally = found.tally
        observed = f"true at {tally.good} of {tally.total} looks"
        if not tally.total:
            within = f"whose windows of {format_duration(reading.looks_back)} lie within the phase"
            observed = "no look" if found.missing or not reading.looks_back else f"no look {within}"
        if found.missing:
            observed = f"{observed}, no data at others" if tally.total else "no data at any look"
        return self.result(
            found,
            phase,
            expected=f"{self.promql} to be true at every look",
            observed=f"{observed}; {reading.shown} was {found.seen}" if found.seen else observed,
            hint=_NO_DATA_HINT if found.missing else _WINDOW_HINT if found.answer is Answer.UNDECIDED else None,
        )


def _values(seen: Mapping[str, Sequence[float]]) -> str:
    """The range of what was compared."""
    least, most = min(seen.get(LEAST, ()), default=None), max(seen.get(MOST, ()), default=None)
    if least is None or most is None:
        return ""
    return format_number(least, 4) if least == most else f"{format_number(least, 4)} to {format_number(most, 4)}"
