"""How far the samples of each question have come, and how late they come."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final

from chaos.expectations.counting import Counter, Source
from chaos.expectations.evidence import Evidence
from chaos.values.questions import Question

_LOOK_BACK: Final = 120.0
"""Seconds that a question goes back as long as no sample is known; samples may come a minute late."""
_BEFORE: Final = 30.0
"""Seconds before the run to which a question goes back that is asked for the first time, be it late, as routes lead to its host."""
_LATEST: Final = 600.0
"""Seconds that a question goes back at most."""
_BEHIND: Final = 60.0
"""Seconds behind the newest sample of a question after which a process counts as gone."""
_SPARE: Final = 2.0
"""Seconds more than two scrape intervals that a question goes back."""


class Freshness:
    """Learns from every reply.

    A sample that a reply lacked, although it had been scraped when the question was asked, came late: at least by the time from
    its scrape to that question. The longest such time is the lag.
    """

    def __init__(self, evidence: Evidence, begun: float) -> None:
        self._evidence = evidence
        self._begun = begun
        self._seen: dict[Question, tuple[float, Mapping[Source, float]]] = {}
        self.lag = 0.0
        """Seconds."""

    def note(self, question: Question, asked: float) -> None:
        """The evidence has what was replied to a question that was asked at that moment."""
        newest = _newest(self._evidence.answers(question))
        before, known = self._seen.get(question, (0.0, {}))
        for source, at in newest.items():
            scrapes = self._evidence.scrapes.get(source, ())
            if scrapes and at > known.get(source, at):
                self.lag = max(self.lag, before - scrapes[bisect_right(scrapes, known[source])])
        self._seen[question] = (asked, newest)

    def looks_back(self, question: Question, now: float) -> float:
        """Seconds that a question has to go back so that no sample is missed."""
        if question not in self._seen:
            return max(_LOOK_BACK, now - self._begun + _BEFORE)
        _, newest = self._seen[question]
        if not newest:
            return _LOOK_BACK
        last = max(newest.values())
        since = now - min(at for at in newest.values() if at >= last - _BEHIND)
        return min(_LATEST, since + 2 * self._evidence.scrape_interval + _SPARE)


def _newest(counters: Iterable[Counter]) -> Mapping[Source, float]:
    found: dict[Source, float] = {}
    for one in counters:
        if one.times:
            found[one.source] = max(one.times[-1], found.get(one.source, 0.0))
    return found
