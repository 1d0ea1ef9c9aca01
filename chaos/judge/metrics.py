"""Were the metrics there while it mattered?"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from chaos.expectations.counting import Counter
from chaos.judge.facts import Facts
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.questions import Comparison, Edges, Requests, Side

_ENDS: Final = {Mark.BASELINE_UNTIL: "baseline", Mark.RESTORE_SENT: "fault", Mark.LOAD_STOPPED: "recovery"}
_SCRAPES: Final = 4
"""Scrape intervals without any sample of a question after which its metrics are lost."""
_SLOW: Final = 5.0
"""Seconds that a scrape and the look at it may take."""


def judge_metrics(facts: Facts) -> Reason | None:
    """Which series nobody scraped any more when a phase ended, so that its last events are not in the counts.

    Series that were never there are another matter: no traffic. An answer of Prometheus with old samples is no error,
    so that only the samples' own times can tell.
    """
    patience = _SCRAPES * facts.environment.scrape_interval + _SLOW
    arrivals = Requests(host=facts.plan.host, side=Side.CALLED)
    for question, counters in facts.evidence.answered():
        if isinstance(question, Comparison | Edges) or question == arrivals:
            continue
        for mark, phase in _ENDS.items():
            end = facts.marks.get(mark)
            newest = _newest(counters, end) if end is not None else None
            if end is not None and newest is not None and newest < end - patience:
                return Reason(
                    code=ReasonCode.METRICS_LOST,
                    message=f"the last {end - newest:.0f} s of the {phase} are missing: no sample of {question}",
                    hint="check on Prometheus' page of targets that it still scrapes the proxies",
                )
    return None


def _newest(counters: Iterable[Counter], end: float) -> float | None:
    """The newest sample up to a moment; ``None`` where there was none yet."""
    found = [(counter, bisect_right(counter.times, end)) for counter in counters]
    return max((counter.times[n - 1] for counter, n in found if n), default=None)
