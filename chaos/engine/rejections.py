"""Whether proxies rejected configuration: istiod counts it, and Envoy goes on with what it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.errors import MetricsError
from chaos.model.history import ProxySeen
from chaos.ports import Metrics
from chaos.values.questions import Rejections

DISTRIBUTION: Final = 30.0
"""Seconds within which every caller's proxy must have the fault, or a stage of it."""
_BEFORE: Final = 90.0
"""Seconds in which a sample from before the moment is looked for; a few scrapes."""


def rejected_since(metrics: Metrics, moment: float) -> Mapping[str, int]:
    """How many updates proxies rejected since a moment on Prometheus' clock, by type; empty if they can't be read."""
    try:
        series = metrics.samples(Rejections(), seconds=metrics.now() - moment + _BEFORE)
    except MetricsError:
        return {}
    found: dict[str, int] = {}
    for one in series:
        before = [value for at, value in one.samples if at < moment]
        after = [value for at, value in one.samples if at >= moment]
        if after:
            base = before[-1] if before and before[-1] <= after[-1] else 0.0  # less than before: istiod started again
            kind = one.labels.get("type", "")
            found[kind] = found.get(kind, 0) + round(after[-1] - base)
    return {kind: count for kind, count in found.items() if count > 0}


def not_distributed(rejected: Mapping[str, int], seen: ProxySeen | None) -> tuple[str, str]:
    """That the callers' proxies did not get the fault in time, as they said at last, and what to check."""
    told = f"the callers' proxies did not get the fault within {DISTRIBUTION:g} s"
    told += f": {seen.having} of {seen.of} had it" if seen is not None and seen.of else ""
    if not rejected:
        return told, "check that istiod runs, and that the proxies accept its configuration (istioctl proxy-status)"
    counts = ", ".join(f"{count} of {kind or 'unknown type'}" for kind, count in sorted(rejected.items()))
    return (
        f"{told}; meanwhile proxies rejected updates ({counts}): Envoy does not accept the configuration of some object",
        "find the object and correct it: istiod's log names the proxies and the reason; on the lab, chaosctl lab status names the object",
    )
