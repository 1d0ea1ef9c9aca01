"""Does the experiment ask for more than the settings allow?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.guard.namespaces import CONFIGURE
from chaos.model.plan import Broken
from chaos.values.quantities import format_duration


def percentage_is_capped(draft: Draft) -> Iterator[Broken]:
    """No more requests than allowed."""
    fault, cap = draft.experiment.fault, draft.settings.caps.percentage
    for name, part in (("abort", fault.abort), ("delay", fault.delay)):
        if part is not None and part.percentage > cap:
            yield _broken("percentage-capped", f"faults.{name}.percentage", f"{part.percentage:g} %", f"{cap:g} %")


def delay_is_capped(draft: Draft) -> Iterator[Broken]:
    """No longer delay than allowed: what waits keeps waiting after the fault is gone."""
    delay, cap = draft.experiment.fault.delay, draft.settings.caps.delay
    if delay is not None and delay.fixed_delay > cap:
        value = format_duration(delay.fixed_delay)
        yield _broken("delay-capped", "faults.delay.fixedDelay", value, format_duration(cap))


def duration_is_capped(draft: Draft) -> Iterator[Broken]:
    """No longer fault than allowed."""
    limit, cap = draft.experiment.limits.fault, draft.settings.caps.duration
    if limit > cap:
        yield _broken("duration-capped", "limits.fault", format_duration(limit), format_duration(cap))


def rate_is_capped(draft: Draft) -> Iterator[Broken]:
    """No more load than allowed; a locustfile of the user's own has a rate of its own."""
    rate, cap = draft.experiment.load.rate, draft.settings.caps.rate
    if rate is not None and rate > cap:
        yield _broken("rate-capped", "load.rate", f"{rate:g}/s", f"{cap:g}/s")


def _broken(rule: str, where: str, value: str, cap: str) -> Broken:
    return Broken(
        rule=rule,
        value=value,
        message=f"{where} is {value}, and at most {cap} is allowed",
        hint=f"ask for less, or raise the cap in caps of {CONFIGURE}",
    )
