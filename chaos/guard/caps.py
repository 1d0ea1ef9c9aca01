"""Does the experiment ask for more than the settings allow?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.guard.namespaces import CONFIGURE
from chaos.values.quantities import format_duration
from chaos.values.remarks import Refusal


def percentage_is_capped(draft: Draft) -> Iterator[Refusal]:
    """No more requests than allowed."""
    cap = draft.settings.caps.percentage
    for kind in draft.experiment.kinds:
        if kind.percentage > cap:
            yield _refusal("percentage-capped", f"faults.{kind.key}.percentage", f"{kind.percentage:g} %", f"{cap:g} %")


def delay_is_capped(draft: Draft) -> Iterator[Refusal]:
    """No longer delay than allowed: a delayed request keeps waiting after the fault is gone."""
    cap = draft.settings.caps.delay
    for kind in draft.experiment.kinds:
        if kind.held > cap:
            where = f"faults.{kind.key}.{kind.held_by}"
            yield _refusal("delay-capped", where, format_duration(kind.held), format_duration(cap))


def duration_is_capped(draft: Draft) -> Iterator[Refusal]:
    """No longer fault than allowed."""
    limit, cap = draft.experiment.limits.fault, draft.settings.caps.duration
    if limit > cap:
        yield _refusal("duration-capped", "limits.fault", format_duration(limit), format_duration(cap))


def rate_is_capped(draft: Draft) -> Iterator[Refusal]:
    """No more load than allowed; a locustfile of the user's own has a rate of its own."""
    rate, cap = draft.experiment.load.rate, draft.settings.caps.rate
    if rate is not None and rate > cap:
        yield _refusal("rate-capped", "load.rate", f"{rate:g}/s", f"{cap:g}/s")


def _refusal(rule: str, where: str, value: str, cap: str) -> Refusal:
    return Refusal(
        rule=rule,
        value=value,
        message=f"{where} is {value}, and at most {cap} is allowed",
        hint=f"declare less, or raise the cap in caps of {CONFIGURE}",
    )
