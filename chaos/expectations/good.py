"""Which events are good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from pydantic import Field, field_validator, model_validator

from chaos.istio.grpc import GRPC_STATUSES
from chaos.values.declared import Declared
from chaos.values.quantities import Duration

_STATUS: Final = re.compile(r"(<=|<|>=|>|=)?\s*(\d{3})|([1-5])xx")


class Good(Declared):
    """Which events are good: by status, of HTTP or of gRPC, by duration, or by both."""

    status: str | None = Field(
        None,
        pattern=r"^((<=|<|>=|>|=)?\s*\d{3}|[1-5]xx)$",
        description='"<500", "2xx" or "200"; a request without an answer is never good',
    )
    grpc: str | None = Field(
        None, description="gRPC statuses: OK, or several such as OK|NOT_FOUND; an answer without one is not good"
    )
    within: Duration | None = Field(
        None, description="an answer within this time is good; must be a bucket bound of the mesh's histogram"
    )

    if TYPE_CHECKING:

        def __init__(
            self, *, status: str | None = None, grpc: str | None = None, within: timedelta | str | None = None
        ) -> None: ...

    @field_validator("grpc")
    @classmethod
    def _statuses(cls, value: str | None) -> str | None:
        for name in value.split("|") if value is not None else ():
            if name not in GRPC_STATUSES:
                raise ValueError(
                    f"expected gRPC statuses, joined by | if there are several: {', '.join(GRPC_STATUSES)}"
                )
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.status is None and self.grpc is None and self.within is None:
            raise ValueError("expected status, within or both; of gRPC, grpc in place of status")
        if self.status is not None and self.grpc is not None:
            raise ValueError("expected status, which is HTTP's, or grpc; not both")
        return self

    @property
    def milliseconds(self) -> float | None:
        """The bound of ``within``."""
        return None if self.within is None else self.within / timedelta(milliseconds=1)

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether the answers that a series counts have a good status, whatever time they took.

        A gRPC answer with an error is HTTP 200, and still not good.
        """
        status = labels.get("grpc_response_status", "")
        if self.grpc is not None:
            return status in {str(GRPC_STATUSES.index(name)) for name in self.grpc.split("|")}
        if self.status is not None and status not in ("", "0"):
            return False
        code = labels.get("response_code", "0")
        return self.status_is_good(int(code) if code.isdigit() else 0)

    def status_is_good(self, code: int) -> bool:
        """Whether an answer of this status is good; code 0 says that there was no answer."""
        if code == 0:
            return False
        if self.status is None:
            return True
        found = _STATUS.fullmatch(self.status)
        assert found is not None  # noqa: S101 - the pattern of the field has seen to it
        if found[3]:
            return code // 100 == int(found[3])
        bound = int(found[2])
        return {
            "<": code < bound, "<=": code <= bound, ">": code > bound, ">=": code >= bound, "=": code == bound,
            None: code == bound,
        }[found[1]]  # fmt: skip

    def __str__(self) -> str:
        parts = [f"with status {self.status}"] if self.status else []
        parts += [f"with gRPC status {self.grpc.replace('|', ' or ')}"] if self.grpc else []
        if self.milliseconds is not None:
            parts.append(f"within {int(self.milliseconds)} ms")
        return " and ".join(parts)
