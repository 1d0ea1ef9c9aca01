"""What the calls of a service in the shop in memory feel of a VirtualService's fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from chaos.istio.grpc import GRPC_STATUSES
from chaos.values.quantities import parse_duration

GRPC: Final = "gRPC "
"""Before the number of a gRPC status."""


@dataclass(frozen=True)
class Felt:
    """A fault: share and status of what is aborted, share and milliseconds of what is delayed."""

    abort: float = 0.0
    status: str = ""
    delay: float = 0.0
    late: float = 0.0

    @classmethod
    def of(cls, fault: Mapping[str, Any]) -> Self:
        """That of a route's ``fault``."""
        abort, delay = fault.get("abort") or {}, fault.get("delay") or {}
        late = parse_duration(delay["fixedDelay"]).total_seconds() * 1000 if delay else 0.0
        return cls(_share(abort), _status(abort), _share(delay), late)


def _status(abort: Mapping[str, Any]) -> str:
    name = abort.get("grpcStatus")
    return f"{GRPC}{GRPC_STATUSES.index(name)}" if name is not None else str(abort.get("httpStatus", ""))


def _share(part: Mapping[str, Any]) -> float:
    return float(part["percentage"]["value"]) / 100 if part else 0.0
