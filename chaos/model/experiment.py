"""An experiment as declared: target, faults, load, steady state, recovery, guardrails, limits.

Names and value forms of faults and matches are Istio's own (``networking.istio.io/v1`` HTTPFaultInjection and
HTTPMatchRequest); the rest is described field by field, and ``chaosctl schema`` prints all of it for editors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self, TypedDict, Unpack

from pydantic import (
    Field,
    model_validator,
)

from chaos.errors import InputError, Setting
from chaos.expectations import AnyExpectation, Guardrail, SteadyState
from chaos.faults.fault import Fault
from chaos.faults.kind import Kind
from chaos.istio.regex import problem as regex_problem
from chaos.values.declared import PATH_PATTERN, Declared, HostName, Name
from chaos.values.quantities import Duration, Share, format_duration

Severity = Literal["blocker", "critical", "normal", "minor", "trivial"]


class StringMatch(Declared):
    """Istio's StringMatch: one of exact, prefix, regex."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self, *, exact: str | None = None, prefix: str | None = None, regex: str | None = None
        ) -> None: ...

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.exact, self.prefix, self.regex)) > 1:
            raise ValueError("expected one of exact, prefix and regex")
        if self.regex is not None and (wrong := regex_problem(self.regex)):
            raise ValueError(f"regex: expected one that Istio accepts: {wrong}")
        return self


class Match(Declared):
    """The part of Istio's HTTPMatchRequest by which an experiment may narrow its target."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = Field(
        default_factory=dict, description="keys in lower case; {} means: is present"
    )
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    ignore_uri_case: bool = Field(False)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            uri: StringMatch | None = None,
            method: StringMatch | None = None,
            headers: Mapping[str, StringMatch] = ...,
            query_params: Mapping[str, StringMatch] = ...,
            ignore_uri_case: bool = False,
        ) -> None: ...

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

    positional: ClassVar[tuple[str, ...]] = ("namespace", "service")

    namespace: Name = Field(description="a staging namespace")
    service: Name = Field(description="the Kubernetes Service whose callers feel the fault")
    callers: dict[str, str] = Field(
        default_factory=dict, description="pod labels of the callers that are hit; without labels, all callers"
    )
    match: tuple[Match, ...] = Field((), description="only requests that match one of these blocks")
    only_our_load: bool = Field(
        False,
        description="only requests that carry this run's header, which the load sends",
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            namespace: str,
            service: str,
            *,
            callers: Mapping[str, str] = ...,
            match: Sequence[Match] = (),
            only_our_load: bool = False,
        ) -> None: ...


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class Sent(TypedDict, total=False):
    """What a request has beside its method and its path; see ``Request``."""

    weight: int
    headers: Mapping[str, str]
    body: str | None
    name: str | None


class Request(Declared):
    """One kind of request that the load sends: ``Request.post("/orders", weight=3)``."""

    positional: ClassVar[tuple[str, ...]] = ("path",)

    method: Method = "GET"
    path: str = Field(pattern=PATH_PATTERN, description="path at the entry")
    weight: int = Field(1, ge=1, le=10_000, strict=True)
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    name: str | None = Field(None, min_length=1, description="its name in statistics; without it, METHOD path")

    if TYPE_CHECKING:

        def __init__(self, path: str, *, method: Method = "GET", **sent: Unpack[Sent]) -> None: ...

    @classmethod
    def get(cls, path: str, **sent: Unpack[Sent]) -> Self:
        """A GET of a path at the entry."""
        return cls(path, method="GET", **sent)

    @classmethod
    def post(cls, path: str, **sent: Unpack[Sent]) -> Self:
        """A POST to a path at the entry."""
        return cls(path, method="POST", **sent)

    @classmethod
    def put(cls, path: str, **sent: Unpack[Sent]) -> Self:
        """A PUT to a path at the entry."""
        return cls(path, method="PUT", **sent)

    @classmethod
    def patch(cls, path: str, **sent: Unpack[Sent]) -> Self:
        """A PATCH of a path at the entry."""
        return cls(path, method="PATCH", **sent)

    @classmethod
    def delete(cls, path: str, **sent: Unpack[Sent]) -> Self:
        """A DELETE of a path at the entry."""
        return cls(path, method="DELETE", **sent)

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
    timeout: Duration = Field(timedelta(seconds=30), description="a request without an answer by then has failed")
    host: HostName | None = Field(
        None, description="Host header and TLS name, for a gateway that is reached by an address"
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            rate: float = 20,
            requests: Sequence[Request] = (),
            locustfile: str | None = None,
            users: int = 10,
            timeout: timedelta | str = "30s",
            host: str | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.requests) == bool(self.locustfile):
            raise ValueError("expected either requests or a locustfile")
        labels = [request.label for request in self.requests]
        if len(set(labels)) != len(labels):
            raise ValueError("expected requests with names of their own")
        return self


Profile = Literal["quick", "default", "nightly"]
_PROFILES: Final[Mapping[Profile, timedelta]] = {
    "quick": timedelta(seconds=3),
    "default": timedelta(seconds=30),
    "nightly": timedelta(seconds=60),
}
"""How long each profile observes a fault at least, and how long the steady state must stay good after it."""


def profile_of(name: str | None) -> Profile | None:
    """The profile that an option names, if it names one.

    Raises:
        InputError: there is none of this name.
    """
    found = next((profile for profile in _PROFILES if profile == name), None)
    if name and found is None:
        raise InputError(f"{Setting.PROFILE} {name!r}: expected one of {', '.join(_PROFILES)}")
    return found


class Observe(Declared):
    """How long is observed; what comes more rarely than a phase shows is not claimed."""

    positional: ClassVar[tuple[str, ...]] = ("at_least",)

    at_least: Duration | None = Field(
        None, description="shortest time of the fault; the baseline takes half of it; without it, by the profile"
    )

    if TYPE_CHECKING:

        def __init__(self, at_least: timedelta | str | None = None) -> None: ...


class Recovery(Declared):
    """How soon the steady state must hold again, from the moment at which the callers' proxies had lost the fault."""

    positional: ClassVar[tuple[str, ...]] = ("within",)

    within: Duration = timedelta(seconds=60)
    stay_good: Duration | None = Field(
        None, description="how long it must hold from then on; without it, by the profile"
    )

    if TYPE_CHECKING:

        def __init__(self, within: timedelta | str = "60s", *, stay_good: timedelta | str | None = None) -> None: ...


class Limits(Declared):
    """The longest that a phase may take; it ends as soon as its question is answered."""

    baseline: Duration = timedelta(seconds=60)
    fault: Duration = timedelta(seconds=120)
    removal: Duration = Field(
        timedelta(seconds=30),
        description="longest time from the acknowledged restore until the callers' proxies have lost the fault",
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            baseline: timedelta | str = "60s",
            fault: timedelta | str = "120s",
            removal: timedelta | str = "30s",
        ) -> None: ...

    @model_validator(mode="after")
    def _useful(self) -> Self:
        if min(self.baseline, self.fault, self.removal) < timedelta(seconds=1):
            raise ValueError("expected at least 1s for baseline, fault and removal")
        return self


class Experiment(Declared):
    """A steady-state hypothesis, a fault, the load under which both are observed, and what must hold."""

    positional: ClassVar[tuple[str, ...]] = ("experiment",)

    experiment: Name = Field(description="its name, unique in the suite")
    title: str | None = Field(None, description="one line for people; without it, made from the name")
    description: str | None = None
    owner: str | None = Field(None, description="team that is responsible for it")
    severity: Severity = "normal"
    tags: tuple[Name, ...] = ()
    target: Target
    faults: tuple[Fault, ...] = Field(min_length=1, max_length=1)
    load: Load
    steady_state: tuple[SteadyState, ...] = Field(min_length=1)
    profile: Profile = Field(
        "default",
        description="quick is for trying; nightly observes for longer, so that it sees what comes more rarely",
    )
    observe: Observe = Observe()
    recovery: Recovery = Recovery()
    guardrails: tuple[Guardrail, ...] = ()
    limits: Limits = Limits()
    confidence: Share = Field(0.95, description="of the whole verdict; shared among the expectations")

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            /,
            *,
            target: Target,
            faults: Sequence[Fault | Kind],
            load: Load,
            steady_state: Sequence[AnyExpectation],
            guardrails: Sequence[AnyExpectation] = (),
            profile: Profile = "default",
            observe: Observe = ...,
            recovery: Recovery = ...,
            limits: Limits = ...,
            title: str | None = None,
            description: str | None = None,
            owner: str | None = None,
            severity: Severity = "normal",
            tags: Sequence[str] = (),
            confidence: float | str = 0.95,
        ) -> None: ...

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        every = (*self.steady_state, *self.guardrails)
        titles = [one.title for one in every]
        if len(set(titles)) != len(titles):
            raise ValueError("expected every expectation and guardrail to have a title of its own")
        if not 0.5 <= self.confidence < 1:
            raise ValueError("confidence: expected 50% or more, and under 100%")
        self._fits()
        names = {request.label for request in self.load.requests}
        for request in (name for one in every for name in one.names_of_load()):
            if names and request not in names:
                raise ValueError(
                    f"request {request!r}: expected one of the load's requests: {', '.join(sorted(names))}"
                )
        return self

    def _fits(self) -> None:
        """Each phase may take as long as it has to.

        Raises:
            ValueError: a limit is shorter.
        """
        for limit, least, where in (
            (self.limits.fault, self.observed_for, "observe.atLeast"),
            (self.limits.baseline, self.observed_for / 2, "half of observe.atLeast"),
        ):
            if limit < least:
                raise ValueError(
                    f"limits: {format_duration(limit)} is shorter than {where}, {format_duration(least)}: raise the limit, "
                    "declare a shorter observe.atLeast, or `profile: quick` for trying"
                )

    @property
    def observed_for(self) -> timedelta:
        """How long the fault is observed at least; the baseline takes half of it."""
        return self.observe.at_least if self.observe.at_least is not None else _PROFILES[self.profile]

    @property
    def stays_good_for(self) -> timedelta:
        """How long the steady state must hold after the fault before it counts as recovered."""
        return self.recovery.stay_good if self.recovery.stay_good is not None else _PROFILES[self.profile]

    def in_profile(self, profile: Profile) -> Self:
        """Itself in another profile; what it declares itself stays, but ``quick`` shortens that too.

        Raises:
            ValueError: a limit is shorter than the profile's times.
        """
        changed: dict[str, object] = {"profile": profile}
        if profile == "quick":
            changed["observe"] = Observe()
            changed["recovery"] = self.recovery.model_copy(update={"stay_good": None})
        found = self.model_copy(update=changed)
        found._fits()
        return found

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

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What all of its faults are made of."""
        return tuple(kind for fault in self.faults for kind in fault.kinds)
