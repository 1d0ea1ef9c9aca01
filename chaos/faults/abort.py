"""Abort: the caller's proxy answers instead of the target."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from chaos.values.declared import Declared
from chaos.values.percentage import Percentage


class Abort(Declared):
    """Requests answered by the caller's proxy with an error; they never reach the target."""

    percentage: Percentage = Field(description="percent of the matching requests, over 0 to 100")
    http_status: int | None = Field(
        None, ge=200, le=599, strict=True,
        description="answer's status, 200 to 599 (Istio's webhook also lets 600 pass, which every Envoy rejects)",
    )  # fmt: skip
    grpc_status: str | None = Field(
        None,
        pattern=r"^[A-Z_]+$",
        description="a gRPC status name such as UNAVAILABLE; gRPC ports only",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.http_status is None) == (self.grpc_status is None):
            raise ValueError("expected exactly one of httpStatus and grpcStatus")
        return self
