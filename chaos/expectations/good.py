"""Which events are good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from chaos.istio.grpc import GRPC_STATUSES
from chaos.values.conditions import all_of, any_of, at_most_one_of
from chaos.values.content import JSON_PATH, Body, Header, Json, Scalar
from chaos.values.declared import STATUS_PATTERN, Declared
from chaos.values.quantities import SomeTime

_STATUS: Final = re.compile(r"(<=|<|>=|>|=)?\s*(\d{3})|([1-5])xx")
_GRPC: Final = "^({0})(\\|({0}))*$".format("|".join(GRPC_STATUSES))
_SUCCESS: Final = frozenset(map(str, (101, *range(200, 300), 304)))


def is_success(status: str) -> bool:
    """Whether an answer did what was asked, by its status as text: 2xx, 304 or 101. A redirect may lead to a login page."""
    return status in _SUCCESS


class Good(Declared):
    """Which events are good: by status, of HTTP or of gRPC, by duration, by content; all that is declared must be so.

    Args:
        status: ``"<500"``, ``"2xx"``, ``"200"``; no answer is never good.
        grpc: In place of ``status``: ``"OK"``, or several such as ``"OK|NOT_FOUND"``.
        within: Answered within this time.
        header: Values of the answer's headers, by their names.
        body: A text that the answer's body holds.
        json_path: Values in the answer's JSON, by their paths, such as ``{"stock.lines[0].source": "cache"}``.
    """

    model_config = ConfigDict(
        json_schema_extra=all_of(
            any_of("status", "grpc", "within", "header", "body", "jsonPath"), at_most_one_of("status", "grpc")
        )
    )

    status: str | None = Field(
        None,
        pattern=STATUS_PATTERN,
        description='"<500", "2xx" or "200"; a request without an answer is never good',
    )
    grpc: Annotated[str, WithJsonSchema({"type": "string", "pattern": _GRPC})] | None = Field(
        None, description="gRPC statuses: OK, or several such as OK|NOT_FOUND; an answer without one is not good"
    )
    within: SomeTime | None = Field(
        None,
        description="an answer within this time is good, and if nothing else is declared, one that is no error (5xx); must be a "
        "bucket bound of the mesh's histogram",
    )

    header: dict[str, str] = Field(
        default_factory=dict, description="values of the answer's headers, by their names; with from: client"
    )
    body: str | None = Field(None, min_length=1, description="a text in the answer's body; with from: client")
    json_path: dict[Annotated[str, Field(pattern=JSON_PATH)], Scalar] = Field(
        default_factory=dict,
        json_schema_extra={"additionalProperties": False},
        description="values in the answer's JSON, by paths such as stock.lines[0].source; with from: client",
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            status: str | None = None,
            grpc: str | None = None,
            within: timedelta | str | None = None,
            header: Mapping[str, str] = ...,
            body: str | None = None,
            json_path: Mapping[str, Scalar] = ...,
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
        if not (self.status or self.grpc or self.within or self.markers):
            raise ValueError("expected at least one of status, grpc, within, header, body and jsonPath")
        if self.status is not None and self.grpc is not None:
            raise ValueError("expected status, which is HTTP's, or grpc; not both")
        return self

    @property
    def markers(self) -> tuple[Header | Body | Json, ...]:
        """What a good answer's content has."""
        return (
            *(Header(name=name, value=value) for name, value in self.header.items()),
            *([Body(text=self.body)] if self.body is not None else []),
            *(Json(path=path, value=value) for path, value in self.json_path.items()),
        )

    @property
    def milliseconds(self) -> float | None:
        """The bound of ``within``."""
        return None if self.within is None else self.within / timedelta(milliseconds=1)

    @property
    def seconds(self) -> float:
        """Seconds within which an answer has to come to be good; infinity where that does not matter."""
        return inf if self.within is None else self.within.total_seconds()

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether the answers that a series counts have a good status, whatever time they took.

        A gRPC answer with an error is HTTP 200, and still not good.
        """
        status = labels.get("grpc_response_status", "")
        if self.grpc is not None:
            return status in {str(GRPC_STATUSES.index(name)) for name in self.grpc.split("|")}
        if status not in ("", "0"):
            return False
        code = labels.get("response_code", "0")
        return self.status_is_good(int(code) if code.isdigit() else 0)

    def status_is_good(self, code: int) -> bool:
        """Whether an answer of this status is good; code 0 says that there was no answer."""
        if code == 0:
            return False
        if self.status is None:
            return code < 500 or bool(self.markers)
        found = _STATUS.fullmatch(self.status)
        assert found is not None  # noqa: S101 - the pattern of the field has seen to it
        if found[3]:
            return code // 100 == int(found[3])
        bound = int(found[2])
        return {
            "<": code < bound, "<=": code <= bound, ">": code > bound, ">=": code >= bound, "=": code == bound,
            None: code == bound,
        }[found[1]]  # fmt: skip

    @property
    def takes_success(self) -> bool:
        """Whether answers that succeed are good; where only others are, that is what somebody declared."""
        if self.grpc is not None:
            return "OK" in self.grpc.split("|")
        return any(self.status_is_good(int(code)) for code in _SUCCESS)

    @property
    def takes_everything(self) -> bool:
        """Whether only an answer that never came is bad."""
        if self.grpc is not None or self.within is not None or self.markers:
            return False
        return all(self.status_is_good(code) for code in range(200, 600))

    @cached_property
    def _hash(self) -> int:
        return hash(str(self))

    def __hash__(self) -> int:
        """By its words, since mappings have no hash."""
        return self._hash

    def __str__(self) -> str:
        parts = [f"with status {self.status}"] if self.status else []
        parts += [f"with gRPC status {self.grpc.replace('|', ' or ')}"] if self.grpc else []
        parts += [] if parts or self.markers else ["without an error"]
        if self.milliseconds is not None:
            parts.append(f"within {int(self.milliseconds)} ms")
        parts += [f"with {marker}" for marker in self.markers]
        return " and ".join(parts)
