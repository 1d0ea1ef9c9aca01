"""An experiment as declared: target, faults, load, steady state, recovery, guardrails, limits.

Names and value forms of faults and matches are Istio's own (``networking.istio.io/v1`` HTTPFaultInjection and
HTTPMatchRequest); the rest is described field by field, and ``chaosctl schema`` prints all of it for editors.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from chaos.model.quantities import Duration, Share, format_share, parse_share
from chaos.model.regex import problem as regex_problem

BUCKETS_MS: Final = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
    300_000, 600_000, 1_800_000, 3_600_000,
)  # fmt: skip
"""Upper bounds in milliseconds of Istio's request duration histogram (Envoy histogram_impl.cc defaultBuckets)."""

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Severity = Literal["blocker", "critical", "normal", "minor", "trivial"]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]


class Declared(BaseModel):
    """Base of all declared data: frozen, and a key that isn't known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a plain number, such as 50 or 0.5")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number, such as 50 or 0.5")
    if abs(value) <= 1000 and Decimal(repr(value)) % Decimal("0.0001"):
        raise ValueError("expected steps of 0.0001 (Envoy counts in millionths)")
    return value


Percentage = Annotated[float, BeforeValidator(_number), Field(gt=0, le=100)]
"""Percent of requests, over 0 to 100. Istio ignores a fault without one, so it is required."""


class Abort(Declared):
    """Requests answered by the caller's proxy with an error; they never reach the target."""

    percentage: Percentage = Field(description="percent of the matching requests, over 0 to 100")
    http_status: int | None = Field(
        None, alias="httpStatus", ge=200, le=599, strict=True,
        description="answer's status, 200 to 599 (Istio's webhook also lets 600 pass, which every Envoy rejects)",
    )  # fmt: skip
    grpc_status: str | None = Field(
        None,
        alias="grpcStatus",
        pattern=r"^[A-Z_]+$",
        description="a gRPC status name such as UNAVAILABLE; gRPC ports only",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.http_status is None) == (self.grpc_status is None):
            raise ValueError("expected exactly one of httpStatus and grpcStatus")
        return self


class Delay(Declared):
    """Requests held back by the caller's proxy before they are sent on."""

    percentage: Percentage = Field(description="percent of the matching requests, over 0 to 100")
    fixed_delay: Duration = Field(alias="fixedDelay", description="how long, at least 1ms")

    @model_validator(mode="after")
    def _at_least_a_millisecond(self) -> Self:
        if self.fixed_delay < timedelta(milliseconds=1):
            raise ValueError("fixedDelay: expected at least 1ms")
        return self


class Fault(Declared):
    """One fault: an abort, a delay, or both, which Envoy draws independently of each other."""

    abort: Abort | None = None
    delay: Delay | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.abort is None and self.delay is None:
            raise ValueError("expected abort, delay or both")
        return self


class StringMatch(Declared):
    """Istio's StringMatch: one of exact, prefix, regex."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.exact, self.prefix, self.regex)) > 1:
            raise ValueError("expected one of exact, prefix and regex")
        if self.regex is not None and (wrong := regex_problem(self.regex)):
            raise ValueError(f"regex: expected one that Istio takes: {wrong}")
        return self


class Match(Declared):
    """The part of Istio's HTTPMatchRequest by which an experiment may narrow its target."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = Field(
        default_factory=dict, description="keys in lower case; {} means: is present"
    )
    query_params: dict[str, StringMatch] = Field(default_factory=dict, alias="queryParams")
    ignore_uri_case: bool = Field(False, alias="ignoreUriCase")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not (self.uri or self.method or self.headers or self.query_params):
            raise ValueError("expected at least one of uri, method, headers and queryParams")
        for key in self.headers:
            if key != key.lower() or key in ("uri", "scheme", "method", "authority"):
                raise ValueError(f"headers: expected a lower-case header name, not {key!r} (Istio would ignore it)")
        for value in (self.method, *self.headers.values(), *self.query_params.values()):
            if value is not None and value.prefix == "":
                raise ValueError("prefix: expected one that is not empty (Istio takes an empty prefix for uri only)")
        return self


class Target(Declared):
    """Whose requests to which service are hit."""

    namespace: Name = Field(description="a staging namespace")
    service: Name = Field(description="the Kubernetes Service whose callers feel the fault")
    callers: dict[str, str] = Field(
        default_factory=dict, description="pod labels of the callers that are hit; all callers where empty"
    )
    match: tuple[Match, ...] = Field((), description="only requests that match one of these blocks")
    only_our_load: bool = Field(
        False,
        alias="onlyOurLoad",
        description="only requests that carry this run's header, which the load sends",
    )


class Request(Declared):
    """One kind of request that the load sends."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = "GET"
    path: str = Field(pattern=r"^/\S*$", description="path at the entry")
    weight: int = Field(1, ge=1, le=10_000, strict=True)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    name: str | None = Field(None, min_length=1, description="how it is called in statistics; METHOD path where absent")

    @property
    def label(self) -> str:
        """Its name in statistics."""
        return self.name or f"{self.method} {self.path}"


class Load(Declared):
    """What is sent to the mesh's entry while the experiment runs: declared requests, or the user's own locustfile."""

    rate: float = Field(20, gt=0, le=5_000, description="arrivals per second (open model)")
    requests: tuple[Request, ...] = ()
    locustfile: str | None = Field(None, description="path of a locustfile, relative to the experiment file")
    users: int = Field(10, ge=1, le=10_000, strict=True, description="users of the locustfile (closed model)")
    timeout: Duration = Field(timedelta(seconds=30), description="a request without answer by then has failed")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.requests) == bool(self.locustfile):
            raise ValueError("expected either requests or a locustfile")
        labels = [request.label for request in self.requests]
        if len(set(labels)) != len(labels):
            raise ValueError("expected requests with names of their own")
        return self


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
        alias="from",
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

    at_least: AtLeast = Field(
        Bound(share=1.0), alias="atLeast", description="least share of good events before and after"
    )
    during_fault: AtLeast | None = Field(
        None, alias="duringFault", description="least share while the fault is active; atLeast where absent"
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

    at_least: AtLeast = Field(Bound(share=1.0), alias="atLeast")

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        if self.promql is None and (self.at_least.relative or "at_least" not in self.model_fields_set):
            raise ValueError("atLeast: expected a share, such as 50%")
        return self


class Recovery(Declared):
    """How soon the steady state must hold again, from the moment at which the callers' proxies had lost the fault."""

    within: Duration = timedelta(seconds=60)


class Limits(Declared):
    """The longest that a phase may take; it ends as soon as its question is answered."""

    baseline: Duration = timedelta(seconds=60)
    fault: Duration = timedelta(seconds=120)
    removal: Duration = Field(
        timedelta(seconds=30),
        description="how soon after the API acknowledged the restore the callers' proxies must have lost the fault",
    )

    @model_validator(mode="after")
    def _useful(self) -> Self:
        if min(self.baseline, self.fault, self.removal) < timedelta(seconds=1):
            raise ValueError("expected at least 1s for baseline, fault and removal")
        return self


class Experiment(Declared):
    """A steady-state hypothesis, a fault, the load under which both are observed, and what must hold."""

    experiment: Name = Field(description="its name, unique in the suite")
    title: str | None = Field(None, description="one line for people; made from the name where absent")
    description: str | None = None
    owner: str | None = Field(None, description="team that answers for it")
    severity: Severity = "normal"
    tags: tuple[Name, ...] = ()
    target: Target
    faults: tuple[Fault, ...] = Field(min_length=1, max_length=1)
    load: Load
    steady_state: tuple[Expectation, ...] = Field(alias="steadyState", min_length=1)
    recovery: Recovery = Recovery()
    guardrails: tuple[Guardrail, ...] = ()
    limits: Limits = Limits()
    confidence: Share = Field(0.95, description="of the whole verdict; shared among the expectations")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        titles = [claim.title for claim in (*self.steady_state, *self.guardrails)]
        if len(set(titles)) != len(titles):
            raise ValueError("expected every expectation and guardrail to have a title of its own")
        if not 0.5 <= self.confidence < 1:
            raise ValueError("confidence: expected 50% or more, and under 100%")
        names = {request.label for request in self.load.requests}
        for claim in (*self.steady_state, *self.guardrails):
            if claim.request is not None and names and claim.request not in names:
                raise ValueError(
                    f"request {claim.request!r}: expected one of the load's requests: {', '.join(sorted(names))}"
                )
        return self

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment

    @property
    def headline(self) -> str:
        """Its title, or its name as words."""
        return self.title or self.experiment.replace("-", " ")

    @property
    def fault(self) -> Fault:
        """The fault; a list in the file so that more can follow without a new format."""
        return self.faults[0]
