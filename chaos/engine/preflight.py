"""Looks, while a plan is made, whether the metrics will show what a run is about."""

from __future__ import annotations

from typing import Final

from chaos import judge
from chaos.errors import MetricsError
from chaos.judge import Sampled
from chaos.model.history import Environment
from chaos.model.plan import Plan
from chaos.ports import Metrics

_LOOK_BACK: Final = 300.0
"""Seconds of samples by which the scrape interval is known; some proxies are scraped once a minute."""


def checked(plan: Plan, metrics: Metrics, environment: Environment) -> Plan:
    """The plan with what the metrics can't show; as it is where they do not answer, which the run itself will say."""
    if not plan.allowed:
        return plan
    questions = judge.needed(plan)
    try:
        lacking = tuple(judge.lacking(questions, metrics.held()))
        found = Sampled() if lacking else _sampled(plan, metrics, environment)
        interval = found.interval or metrics.scrape_interval()
    except MetricsError:
        return plan
    if environment.interval_from == "settings":
        interval = environment.scrape_interval
    if interval is None:  # the baseline will know
        return plan.model_copy(update={"refusals": (*plan.refusals, *lacking)})
    refusals = (*plan.refusals, *lacking, *judge.too_coarse(plan.experiment, interval))
    warnings = (*plan.warnings, *judge.remarks(found, interval))
    return plan.model_copy(update={"refusals": refusals, "warnings": warnings, "scrape_interval": interval})


def _sampled(plan: Plan, metrics: Metrics, environment: Environment) -> Sampled:
    evidence, now = judge.new_evidence(environment, plan), metrics.now()
    asked = [part for one in judge.counted_by(plan) for part, _ in evidence.parts(one)]
    for question in dict.fromkeys(asked):
        evidence.add(question, metrics.samples(question, seconds=_LOOK_BACK, at=now))
    return judge.sampled(evidence, now)
