"""Faults of a route, for Envoy's fault filter (istiod ``route.go`` TranslateFault)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaos.istio.grpc import GRPC_STATUSES
from chaos.lab.istio.durations import protobuf

FAULT_FILTER: Final = "envoy.filters.http.fault"
_MILLION: Final = 10_000


def fault(wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The filter's configuration; a part without what it needs is dropped without a word."""
    found: dict[str, Any] = {}
    delay, abort = wanted.get("delay"), wanted.get("abort")
    if delay and delay.get("fixedDelay"):
        percent = delay.get("percentage")
        share = fraction(percent) if percent is not None else fraction({"value": delay.get("percent", 0)})
        found["delay"] = {"fixed_delay": protobuf(delay["fixedDelay"]), "percentage": share}
    if abort:
        share = {"percentage": fraction(abort["percentage"])} if abort.get("percentage") is not None else {}
        if "httpStatus" in abort:
            found["abort"] = {"http_status": abort["httpStatus"], **share}
        elif "grpcStatus" in abort:
            found["abort"] = {"grpc_status": GRPC_STATUSES.index(abort["grpcStatus"]), **share}
    if not found:
        return None
    return {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", **found}


def fraction(percent: Mapping[str, float]) -> dict[str, Any]:
    """istiod translatePercentToFractionalPercent: in millionths, truncated as Go's float64 does it."""
    return {"numerator": int(float(percent.get("value") or 0) * _MILLION), "denominator": "MILLION"}
