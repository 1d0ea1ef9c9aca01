"""What an experiment claims: expectations and guardrails."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from chaos.istio.metrics import BUCKETS_MS
from chaos.values.declared import Declared, Name
from chaos.values.quantities import Duration, format_share, parse_share

_STATUS: Final = re.compile(r"(<=|<|>=|>|=)?\s*(\d{3})|([1-5])xx")


class Good(Declared):
    """Which events are good: the status, the duration, or both."""

    status: str | None = Field(
        None,
        pattern=r"^((<=|<|>=|>|=)?\s*\d{3}|[1-5]xx)$",
        description='"<500", "2xx" or "200"; no answer is never good',
    )
    within: Duration | None = Field(
        None, description="answered within this time; must be a bucket bound of the mesh's histogram"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.status is None and self.within is None:
            raise ValueError("expected status, within or both")
        return self

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
        if self.within is not None:
            parts.append(f"within {int(self.within / timedelta(milliseconds=1))} ms")
        return " and ".join(parts)


class Bound(BaseModel):
    """The least share of good events: a share, or the baseline's observed share less a margin."""

    model_config = ConfigDict(frozen=True)
    share: float
    relative: bool = False

    def __str__(self) -> str:
        if not self.relative:
            return format_share(self.share)
        return f"baseline - {format_share(self.share)}" if self.share else "baseline"


def _bound(value: Any) -> Any:
    if isinstance(value, Bound):
        return value
    if isinstance(value, str) and value.strip().startswith("baseline"):
        rest = value.strip().removeprefix("baseline").strip()
        if not rest:
            return Bound(share=0.0, relative=True)
        if rest.startswith("-"):
            return Bound(share=parse_share(rest[1:].strip()), relative=True)
        raise ValueError("expected 'baseline' or 'baseline - 0.5%'")
    return Bound(share=parse_share(value))


AtLeast = Annotated[
    Bound,
    BeforeValidator(_bound),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["99%", "baseline - 0.5%"]}),
]


class Claim(Declared):
    """What expectations and guardrails share: a share of good events of one service, or a PromQL comparison."""

    title: str = Field(min_length=1)
    service: Name | None = Field(None, description="the service that answers; in the target's namespace")
    good: Good | None = None
    source: Literal["mesh", "client"] = Field(
        "mesh",
        validation_alias="from",
        serialization_alias="from",
        description="mesh: the callers' proxies count; client: the load generator counts",
    )
    request: str | None = Field(None, description="from client: only the requests of this name")
    promql: str | None = Field(None, description="a PromQL comparison; true where its result is not empty")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.promql is not None:
            if self.good or self.service or self.source == "client":
                raise ValueError("promql stands alone: expected no service, good or from beside it")
            if not re.search(r"[<>=!]=?", re.sub(r"\{[^}]*\}", "", self.promql)):
                raise ValueError("promql: expected a comparison, such as `sum(up) > 3`")
            return self
        if self.good is None:
            raise ValueError("expected good (status, within) or promql")
        if self.source == "mesh":
            if self.service is None:
                raise ValueError("expected service (whose answers are counted), or from: client")
            if self.request is not None:
                raise ValueError("request is for from: client; the mesh does not know the load's names")
            within = self.good.within
            if within is not None and within / timedelta(milliseconds=1) not in BUCKETS_MS:
                bounds = ", ".join(f"{b:g}" for b in BUCKETS_MS[:13])
                raise ValueError(
                    f"good.within: expected a bucket bound of the mesh's histogram (ms: {bounds}, …), or from: client"
                )
        return self


class Expectation(Claim):
    """One line of the steady state."""

    at_least: AtLeast = Field(Bound(share=1.0), description="least share of good events before and after")
    during_fault: AtLeast | None = Field(
        None, description="least share while the fault is active; atLeast where absent"
    )

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if self.promql is not None:
            if self.during_fault is not None or self.at_least != Bound(share=1.0):
                raise ValueError("a promql expectation is true or false: expected no atLeast or duringFault")
            return self
        if "at_least" not in self.model_fields_set:
            raise ValueError("expected atLeast, such as 99%")
        if self.at_least.relative:
            raise ValueError(
                "atLeast: expected a share; only duringFault can be relative, since atLeast judges the baseline"
            )
        for bound in (self.at_least, self.during_fault):
            if bound is not None and not bound.relative and bound.share in (0.0, 1.0):
                raise ValueError(
                    "expected a share over 0% and under 100%: no number of events can prove 100%, and 0% says nothing"
                )
        return self

    def bound_in(self, phase: str) -> Bound:
        """The bound that holds in ``baseline``, ``fault`` or ``recovery``."""
        return self.during_fault if phase == "fault" and self.during_fault is not None else self.at_least


class Guardrail(Claim):
    """A stop condition: once surely violated, the fault is restored at once."""

    at_least: AtLeast = Field(Bound(share=1.0))

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        if self.promql is None and (self.at_least.relative or "at_least" not in self.model_fields_set):
            raise ValueError("atLeast: expected a share, such as 50%")
        return self
