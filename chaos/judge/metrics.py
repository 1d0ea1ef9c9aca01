"""Were the metrics there while it mattered?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from chaos.expectations.counting import Counter, Source
from chaos.judge.facts import Facts
from chaos.judge.questions import needed
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.questions import Comparison, Question

_ENDS: Final = {Mark.BASELINE_UNTIL: "baseline", Mark.RESTORE_SENT: "fault", Mark.LOAD_STOPPED: "recovery"}
_SCRAPES: Final = 4
"""Scrape intervals without any sample of a question after which its metrics are lost."""
_MISSED: Final = 3
"""Scrapes that one proxy lacks and another has, after which the first is lost, if they were not just slow."""
_SLOW: Final = 5.0
"""Seconds that a scrape and the look at it may take."""


def judge_metrics(facts: Facts) -> Reason | None:
    """Which series nobody scraped any more when a phase ended, so that its last events are not in the counts.

    Series that were never there are another matter: no traffic. An answer of Prometheus with old samples is no error,
    so that only the samples' own times can tell.
    """
    patience = _SCRAPES * facts.environment.scrape_interval + _SLOW + facts.environment.lag
    asked = set(needed(facts.plan)) - {one.arrivals for one in facts.plan.injections}
    looked_at = {part for question in asked for part, _ in facts.evidence.parts(question)}
    begin = facts.marks.get(Mark.BASELINE_FROM, facts.started)
    for question, counters in facts.evidence.answered():
        if isinstance(question, Comparison) or question not in looked_at:
            continue
        for mark, phase in _ENDS.items():
            end = facts.marks.get(mark)
            newest = _newest(counters, end) if end is not None else {}
            if end is None or not newest:
                continue
            last = max(newest.values())
            if last < end - patience:
                return Reason(
                    code=ReasonCode.METRICS_LOST,
                    message=f"the last {end - last:.0f} s of the {phase} are missing: no sample of {question}",
                    hint="check on Prometheus' page of targets that it still scrapes the proxies",
                )
            behind = last - _MISSED * facts.environment.scrape_interval - _SLOW / 2 - facts.environment.lag
            lost = {source: at for source, at in newest.items() if begin <= at < behind}
            if lost:
                return _part_of_them(question, phase, end, lost, newest)
    return None


def _part_of_them(
    question: Question, phase: str, end: float, lost: Mapping[Source, float], newest: Mapping[Source, float]
) -> Reason:
    """The counts of one proxy of several are missing, so the sum of the others looks complete and is not."""
    names = ", ".join(sorted(instance for _, instance in lost))
    return Reason(
        code=ReasonCode.CALLER_NOT_SCRAPED,
        message=f"Prometheus did not scrape {len(lost)} of {len(newest)} proxies ({names}) in the last {end - min(lost.values()):.0f} s "
        f"of the {phase}, so what they counted then is missing among the {question}",
        hint="check on Prometheus' page of targets that it still scrapes them; if their pods ended, because they were scaled down "
        "or restarted, run again while nobody does that",
    )


def _newest(counters: Iterable[Counter], end: float) -> Mapping[Source, float]:
    """The newest sample of each scraped process up to a moment, where it had one."""
    found: dict[Source, float] = {}
    for counter in counters:
        if (newest := counter.newest(end)) is not None:
            found[counter.source] = max(newest, found.get(counter.source, 0.0))
    return found
