"""Abort: the caller's proxy answers instead of the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from chaos.faults.delay import Delay
from chaos.faults.kind import FilterKind
from chaos.istio.grpc import GRPC_STATUSES
from chaos.istio.metrics import flags_of
from chaos.istio.ports import GRPC
from chaos.values.conditions import all_of, one_of
from chaos.values.remarks import Refusal


class Abort(FilterKind):
    """Requests answered by the caller's proxy with an error; they never reach the target."""

    model_config = ConfigDict(json_schema_extra=all_of(one_of("httpStatus", "grpcStatus")))

    key = "abort"
    done = "aborted"
    colour = "#b3261e"
    flag = "FI"
    answers = True
    effects = ("httpStatus", "grpcStatus")
    percentages = ("abort.percentage.value",)

    http_status: int | None = Field(
        None, ge=200, le=599, strict=True,
        description="answer's status, 200 to 599 (Istio's webhook also admits 600, which every Envoy rejects)",
    )  # fmt: skip
    grpc_status: str | None = Field(
        None,
        json_schema_extra={"enum": [*GRPC_STATUSES, None]},
        description="a gRPC status name such as UNAVAILABLE; gRPC ports only",
    )

    if TYPE_CHECKING:

        def __init__(
            self, *, percentage: float, http_status: int | None = None, grpc_status: str | None = None
        ) -> None: ...

    @field_validator("grpc_status")
    @classmethod
    def _known(cls, status: str | None) -> str | None:
        if status is not None and status not in GRPC_STATUSES:
            raise ValueError(f"expected the name of a gRPC status: {', '.join(GRPC_STATUSES)}")
        return status

    @model_validator(mode="after")
    def _one_status(self) -> Self:
        if (self.http_status is None) == (self.grpc_status is None):
            raise ValueError("expected exactly one of httpStatus and grpcStatus")
        return self

    def written(self) -> dict[str, Any]:
        """Its part of HTTPFaultInjection."""
        status = {"httpStatus": self.http_status} if self.grpc_status is None else {"grpcStatus": self.grpc_status}
        return {"percentage": {"value": self.percentage}, **status}

    def drawn(self, labels: Mapping[str, str]) -> bool:
        """Envoy draws it after the delay, so not for a request whose client went away meanwhile."""
        flags = flags_of(labels)
        return Delay.flag not in flags or self.flag in flags or labels.get("response_code") != "0"

    def unfit_for(self, protocols: Collection[str | None], service: str) -> Refusal | None:
        """A client that does not speak gRPC takes a gRPC status for HTTP 200."""
        if self.grpc_status is None or any(protocol in GRPC for protocol in protocols):
            return None
        return Refusal(
            rule="grpc-abort-on-http",
            value=self.grpc_status,
            message=f"grpcStatus {self.grpc_status} on {service!r}, which has no gRPC port: callers would get HTTP 200",
            hint="use httpStatus, or name the port grpc-…",
        )

    def __str__(self) -> str:
        return f"abort of {self.percentage:g}% with {self.http_status or self.grpc_status}"
