"""Looks in the baseline whether the metrics show what the run is about; a mesh that was idle before told the plan nothing."""

from __future__ import annotations

from chaos import judge
from chaos.engine.live import Halt, Live
from chaos.errors import MetricsError
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.values.held import Held


def look_at_samples(live: Live) -> None:
    """Notes what is remarkable in the samples of the baseline.

    Raises:
        Halt: the metrics lack something, or are too coarse.
    """
    facts, now = live.recorder.facts, live.now()
    try:
        held = live.aside(live.place.metrics.held)
    except MetricsError:
        held = Held(requests=False)  # a run does without, as long as it is told what it asks for
    interval = facts.environment.scrape_interval
    for one in (*judge.lacking(judge.needed(live.plan), held), *judge.too_coarse(facts.experiment, interval)):
        live.trouble(TroubleKind.METRICS_INCOMPLETE, one.message, hint=one.hint)
        raise Halt
    known = {warning.code for warning in live.plan.warnings}
    for remark in judge.remarks(judge.sampled(facts.evidence, now), interval):
        if remark.code not in known:
            live.event(events.MetricsNoted(at=now, text=remark.message))
