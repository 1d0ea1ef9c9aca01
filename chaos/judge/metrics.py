"""Were the metrics there while it mattered?"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from chaos.judge.evidence import arrivals_key, needed
from chaos.model.history import History, Mark
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.series import QueryKind, Recorded

_ENDS: Final = {Mark.BASELINE_UNTIL: "baseline", Mark.RESTORE_SENT: "fault", Mark.LOAD_STOPPED: "recovery"}
_SCRAPES: Final = 4
"""Scrape intervals without any sample of a query after which its metrics are lost."""
_SLOW: Final = 5.0
"""Seconds that a scrape and the look at it may take."""


def judge_metrics(history: History) -> Reason | None:
    """Which series nobody scraped any more when a phase ended, so that its last events are not in the counts.

    Series that were never there are another matter: no traffic. An answer of Prometheus with old samples is no error,
    so that only the samples' own times can tell.
    """
    patience = _SCRAPES * history.environment.scrape_interval + _SLOW
    for query in needed(history.plan):
        recorded = history.find(query.key)
        if recorded is None or query.kind is QueryKind.PROMQL or query.key == arrivals_key(history.plan.host):
            continue
        for mark, phase in _ENDS.items():
            end = history.marks.get(mark)
            newest = _newest(recorded, end) if end is not None else None
            if end is not None and newest is not None and newest < end - patience:
                return Reason(
                    code=ReasonCode.METRICS_LOST,
                    message=f"the last {end - newest:.0f} s of the {phase} are missing: no sample of {query.selector}",
                    hint="are the proxies still scraped? (Prometheus' page of targets)",
                )
    return None


def _newest(recorded: Recorded, end: float) -> float | None:
    """The newest sample up to a moment; ``None`` where there was none yet."""
    found = [bisect_right(series.samples, end, key=lambda sample: sample[0]) for series in recorded.series]
    times = [series.samples[n - 1][0] for series, n in zip(recorded.series, found, strict=True) if n]
    return max(times, default=None)
