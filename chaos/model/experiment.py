"""An experiment as declared: target, faults, load, steady state, recovery, guardrails, limits.

Names and value forms of faults and matches are Istio's own (``networking.istio.io/v1`` HTTPFaultInjection and
HTTPMatchRequest); the rest is described field by field, and ``chaosctl schema`` prints all of it for editors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self, TypedDict, Unpack

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from chaos.errors import InputError, Setting
from chaos.expectations import AnyExpectation, Guardrail, SteadyState
from chaos.faults.fault import Fault
from chaos.faults.kind import Kind
from chaos.faults.stage import CHANGE
from chaos.faults.target import Target
from chaos.values.conditions import all_of, one_of
from chaos.values.declared import PATH_PATTERN, Declared, HostName, Name, is_recorded
from chaos.values.quantities import Duration, Share, SomeTime, format_duration, shorter_than
from chaos.values.secrets import HEADER_NAME, NAMED, redacted

Severity = Literal["blocker", "critical", "normal", "minor", "trivial"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_HEADER_VALUE: Final = r"^[\t\x20-\x7e]*$"


def _header_value(value: SecretStr) -> SecretStr:
    if not re.fullmatch(_HEADER_VALUE, value.get_secret_value()):
        raise ValueError(
            "expected the value of a header, which has no line breaks and nothing beyond ASCII (it is not shown)"
        )
    return value


class Sent(TypedDict, total=False):
    """What a request has beside its method and its path; see ``Request``."""

    weight: int
    headers: Mapping[str, str]
    body: str | None
    name: str | None


class Request(Declared):
    """One kind of request that the load sends: ``Request.post("/orders", weight=3)``.

    The values of its headers and its body are secrets: they are sent, and shown nowhere.
    """

    positional: ClassVar[tuple[str, ...]] = ("path",)

    method: Method = "GET"
    path: Annotated[str, PlainSerializer(redacted, when_used="json")] = Field(
        pattern=PATH_PATTERN, description="path at the entry"
    )
    weight: int = Field(1, ge=1, le=10_000, strict=True)
    headers: Annotated[
        dict[
            str,
            Annotated[SecretStr, AfterValidator(_header_value), Field(json_schema_extra={"pattern": _HEADER_VALUE})],
        ],
        NAMED,
    ] = Field(default_factory=dict, json_schema_extra={"propertyNames": {"pattern": HEADER_NAME}})
    body: SecretStr | None = None
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
        return self.name or f"{self.method} {redacted(self.path)}"

    def sent(self) -> dict[str, Any]:
        """As it is sent, with its secrets; for whoever sends it, and for nobody who shows it."""
        return {
            "method": self.method,
            "path": self.path,
            "weight": self.weight,
            "label": self.label,
            "headers": {name: value.get_secret_value() for name, value in self.headers.items()},
            "body": self.body.get_secret_value() if self.body is not None else None,
        }

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, redacted(value) if name == "path" else value


class Load(Declared):
    """What is sent to the mesh's entry while the experiment runs: declared requests, or the user's own locustfile."""

    model_config = ConfigDict(json_schema_extra=all_of(one_of("requests", "locustfile")))

    rate: float = Field(20, gt=0, le=5_000, strict=True, description="arrivals per second (open model)")
    requests: tuple[Request, ...] = ()
    locustfile: str | None = Field(
        None, min_length=1, description="path of a locustfile, relative to the experiment file"
    )
    users: int = Field(10, ge=1, le=10_000, strict=True, description="users of the locustfile (closed model)")
    timeout: SomeTime = Field(timedelta(seconds=30), description="a request without an answer by then has failed")
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
            found = "both" if self.requests else "neither"
            raise ValueError(f"expected either requests or a locustfile, found {found}")
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
    """How long is observed; what comes more rarely than a phase shows may be missed."""

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


def _at_least_a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("expected at least 1s")
    return value


_AtLeastASecond = Annotated[
    Duration, AfterValidator(_at_least_a_second), Field(json_schema_extra={"not": shorter_than(1)})
]


class Limits(Declared):
    """The longest that a phase may take; it ends as soon as its question is answered."""

    baseline: _AtLeastASecond = timedelta(seconds=60)
    fault: _AtLeastASecond = timedelta(seconds=120)
    removal: _AtLeastASecond = Field(
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


def _confident(value: float) -> float:
    if not 0.5 <= value < 1:
        raise ValueError("expected 50% or more, and under 100%")
    return value


_Confidence = Annotated[
    Share,
    AfterValidator(_confident),
    WithJsonSchema({"type": "string", "pattern": r"^\s*0*[5-9]\d(\.\d+)?\s*%\s*$", "examples": ["95%", "99%"]}),
]


class Experiment(Declared):
    """A steady-state hypothesis, a fault, the load under which both are observed, and what must hold."""

    positional: ClassVar[tuple[str, ...]] = ("experiment",)

    experiment: Name = Field(description="its name, unique in the suite")
    title: str | None = Field(None, description="one line for people; without it, made from the name")
    description: str | None = None
    owner: str | None = Field(None, description="team that is responsible for it")
    severity: Severity = "normal"
    tags: tuple[Name, ...] = ()
    only_if_named: bool = Field(
        False,
        strict=True,
        description="runs only if its file is named, not with its folder; for experiments that are meant to fail",
    )
    target: Target = Field(
        description="target of the fault that has none of its own; expectations are about services of its namespace"
    )
    faults: tuple[Fault, ...] = Field(
        min_length=1, description="all are active at the same time, each on a target of its own"
    )
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
    confidence: _Confidence = Field(0.95, description="of the whole verdict; shared among the expectations")
    min_faulted: int = Field(
        1, ge=1, strict=True,
        description="smallest number of requests that each kind of fault must hit; the confidence needs some dozens in any case",
    )  # fmt: skip

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
            only_if_named: bool = False,
            confidence: float | str = 0.95,
            min_faulted: int = 1,
        ) -> None: ...

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        titles = [one.title for one in self.every]
        if len(set(titles)) != len(titles):
            raise ValueError("expected every expectation and guardrail to have a title of its own")
        for one in () if is_recorded(info) else self.every:
            one.fits(min(self.limits.baseline, self.limits.fault))
        self._fits()
        names = {request.label for request in self.load.requests}
        for request in (name for one in self.every for name in one.names_of_load()):
            if names and request not in names:
                raise ValueError(
                    f"request {request!r}: expected one of the load's requests: {', '.join(sorted(names))}"
                )
        self._targets_are_its_own()
        return self

    def _targets_are_its_own(self) -> None:
        """A Service is hit by one fault: two would have to share one lease and one object."""
        hit = [str(one.target) for one in self.each()]
        if twice := next((one for one in hit if hit.count(one) > 1), None):
            raise ValueError(f"faults: expected one for each target, and {twice} has several")
        if str(self.target) not in hit:
            raise ValueError(
                "faults: expected one without a target of its own, which hits the target of the experiment"
            )

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
        for fault in self.faults:
            lasts = sum((stage.lasts + CHANGE for stage in fault.course), timedelta(0))
            if lasts > self.limits.fault:
                raise ValueError(
                    f"stages: expected at most {format_duration(self.limits.fault)} (limits.fault) in all, with "
                    f"{format_duration(CHANGE)} for each change, and they take {format_duration(lasts)}"
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

    def each(self) -> tuple[Self, ...]:
        """One experiment for each of its faults, with that fault alone and its target: each is planned by itself.

        Expectations are about services of one namespace, so that of a target elsewhere has none.
        """
        return tuple(map(self._with, self.faults))

    def _with(self, fault: Fault) -> Self:
        target = fault.target or self.target
        expected = {} if target.namespace == self.target.namespace else {"steady_state": (), "guardrails": ()}
        return self.model_copy(update={"target": target, "faults": (fault,), **expected})

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of its targets, each once."""
        return tuple(dict.fromkeys(one.target.namespace for one in self.each()))

    @property
    def every(self) -> tuple[AnyExpectation, ...]:
        """Its expectations and guardrails."""
        return (*self.steady_state, *self.guardrails)

    @property
    def claimed(self) -> tuple[str, ...]:
        """The hosts whose requests its expectations and guardrails count."""
        return tuple(dict.fromkeys(host for one in self.every for host in one.hosts(self.target.namespace)))

    @property
    def fault(self) -> Fault:
        """The first of its faults, which is the only one of those from ``each``."""
        return self.faults[0]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What all of its faults are made of, in each of their stages: as many shares are to be proven."""
        return tuple(kind for fault in self.faults for step in fault.steps for kind in step.kinds)
