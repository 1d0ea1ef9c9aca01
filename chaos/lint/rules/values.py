"""Does the fault do what it says? Values that Istio ignores, refuses, or passes on to an Envoy that rejects them.

Sources: istiod ``pkg/config/validation/validation.go`` (validatePercentage, validateHTTPStatus,
validateHTTPFaultInjectionDelay), ``pilot/pkg/networking/core/route/route.go`` (TranslateFault), Envoy's
``fault_filter.cc``; observed with a real Envoy where the text says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from chaos.faults.abort import Abort
from chaos.faults.delay import Delay
from chaos.faults.fault import FILTER_KINDS
from chaos.faults.kind import FilterKind
from chaos.istio.grpc import GRPC_STATUSES
from chaos.istio.ports import GRPC, declared_protocol
from chaos.lint.rules.linted import Fault, Linted, resolved
from chaos.lint.rules.manifest import Hit, is_placeholder
from chaos.values.quantities import parse_duration

_SMALLEST: Final = 0.0001
_LOWEST, _HIGHEST, _REJECTED = 200, 599, 600
_MILLISECOND: Final = timedelta(milliseconds=1)


def _parts(linted: Linted, *kinds: type[FilterKind]) -> Iterator[tuple[Fault, str, Mapping[str, Any]]]:
    for fault in linted.faults:
        for kind in kinds:
            if fault.block.get(kind.key) is not None:
                yield fault, kind.key, fault.block[kind.key]


def _said(linted: Linted, kind: type[FilterKind], field: str) -> Iterator[tuple[Fault, Any]]:
    """The values of a field, without those that are filled in later."""
    for fault, _, part in _parts(linted, kind):
        value = part.get(field)
        if value is not None and not is_placeholder(value):
            yield fault, value


def fault_is_not_empty(linted: Linted) -> Iterator[Hit]:
    """A fault aborts, delays, or does both."""
    for fault in linted.faults:
        if all(fault.block.get(kind.key) is None for kind in FILTER_KINDS):
            yield fault.hit(": a fault with neither abort nor delay does nothing", "write one of them, or delete it")


def percentage_is_said(linted: Linted) -> Iterator[Hit]:
    """Without a percentage, no request is aborted and none delayed."""
    for fault, name, part in _parts(linted, *FILTER_KINDS):
        if (part.get("percentage") or {}).get("value") is None and not (name == Delay.key and part.get("percent")):
            message = f": {name} without percentage.value: Istio uses 0, so it never acts"
            yield fault.hit(message, f"write {name}.percentage.value, such as 100", name)


def percentage_is_possible(linted: Linted) -> Iterator[Hit]:
    """A percentage is 0, or from 0.0001 (Envoy counts in millionths) to 100."""
    for fault, name, part in _parts(linted, *FILTER_KINDS):
        value = (part.get("percentage") or {}).get("value")
        if value is None or is_placeholder(value):
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # Said so that NaN, which compares with nothing, is out of range as well.
        if not (number and (value == 0 or _SMALLEST <= value <= 100)):
            message = f": {name}.percentage.value is {value!r}, but Istio accepts 0 or a number from 0.0001 to 100"
            yield fault.hit(message, "write a plain number, such as 50 or 0.5", name, "percentage", "value")


def delay_is_said(linted: Linted) -> Iterator[Hit]:
    """A delay without ``fixedDelay`` passes the webhook, and istiod drops it."""
    for fault, name, part in _parts(linted, Delay):
        if part.get("fixedDelay") is None:
            other = part.get("exponentialDelay")
            what = "exponentialDelay, which Istio does not support" if other else "no fixedDelay"
            yield fault.hit(f": delay has {what}: nothing is delayed", "write delay.fixedDelay, such as 3s", name)


def delay_is_possible(linted: Linted) -> Iterator[Hit]:
    """A delay is at least a millisecond, in whole ones."""
    for fault, value in _said(linted, Delay, "fixedDelay"):
        try:
            problem = None if parse_duration(value) >= _MILLISECOND else "expected at least 1ms"
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            message = f": delay.fixedDelay is {value!r}: {problem}"
            yield fault.hit(message, "for example 500ms or 3s", Delay.key, "fixedDelay")


def status_is_said(linted: Linted) -> Iterator[Hit]:
    """An abort without a status passes the webhook with a warning, and istiod drops it."""
    for fault, name, part in _parts(linted, Abort):
        if part.get("httpStatus") is None and part.get("grpcStatus") is None:
            what = "http2Error, which Istio does not support" if part.get("http2Error") else "no status"
            yield fault.hit(f": abort has {what}: nothing is aborted", "write abort.httpStatus, such as 503", name)


def http_status_is_possible(linted: Linted) -> Iterator[Hit]:
    """An HTTP status is from 200 to 599; the webhook lets 600 pass, and every Envoy rejects the whole route table."""
    for fault, value in _said(linted, Abort, "httpStatus"):
        number = isinstance(value, int) and not isinstance(value, bool)
        if not (number and _LOWEST <= value <= _HIGHEST):
            worse = (
                ": Istio's webhook admits it, but every Envoy rejects the update and keeps its old routes"
                if number and value == _REJECTED
                else ", but Istio accepts a number from 200 to 599"
            )
            message = f": abort.httpStatus is {value!r}{worse}"
            yield fault.hit(message, "write a number, such as 503", Abort.key, "httpStatus")


def grpc_status_is_known(linted: Linted) -> Iterator[Hit]:
    """A gRPC status is given by its name in capitals, not by its number."""
    for fault, value in _said(linted, Abort, "grpcStatus"):
        if value not in GRPC_STATUSES:
            message = f": abort.grpcStatus is {value!r}, which is not the name of a gRPC status"
            yield fault.hit(message, f"one of {', '.join(GRPC_STATUSES[1:])}", Abort.key, "grpcStatus")


def grpc_abort_meets_grpc(linted: Linted) -> Iterator[Hit]:
    """A client that does not speak gRPC gets HTTP 200 from a ``grpcStatus`` abort."""
    for fault, name, part in _parts(linted, Abort):
        for host in fault.manifest.spec.get("hosts", ()) if part.get("grpcStatus") is not None else ():
            services = linted.services_for(resolved(host, fault.manifest))
            ports = [port for service in services for port in service.spec.get("ports", ())]
            if ports and not any(declared_protocol(port) in GRPC for port in ports):
                yield fault.hit(
                    f": abort.grpcStatus {part['grpcStatus']} for {host!r}, whose Service declares no gRPC port: "
                    "HTTP clients get status 200",
                    "write httpStatus, or name the Service's port grpc-…",
                    name,
                    "grpcStatus",
                )


def fault_is_on_a_route(linted: Linted) -> Iterator[Hit]:
    """Istio refuses a fault beside a redirect or a direct response."""
    for fault in linted.faults:
        other = next((key for key in ("redirect", "directResponse") if fault.route.get(key) is not None), None)
        if other is not None:
            yield fault.hit(f": a fault beside {other}: Istio's webhook refuses the object", "take one of them out")
