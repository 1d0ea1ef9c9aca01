"""What a template is: an experiment for a common question, in which only the names of the services are missing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypedDict

from pydantic import Field, ValidationInfo, field_validator, model_validator

from chaos.errors import InputError
from chaos.expectations import AnyExpectation
from chaos.expectations.bound import CERTAIN_LIMIT, AtLeast
from chaos.expectations.good import Good
from chaos.istio.metrics import BUCKETS_MS
from chaos.model.experiment import Experiment, Limits, Load, Observe, Profile, Recovery, Severity
from chaos.values.conditions import all_of, none_of
from chaos.values.declared import PATH_PATTERN, Declared, Name
from chaos.values.quantities import SomeTime, UncertainShare, format_duration, format_share

Protocol = Literal["http", "grpc"]
Document = dict[str, Any]
"""An experiment, or a part of one, in the form of a file."""
_FEWEST: Final = 0.5
"""Least share of degraded answers where every call of the dependency is hit."""
LEAST: Final = 0.02
"""Least share of degraded answers that tells a fallback from none; without the fault there may be as many at most, and half of what it has to bring."""
_TRIES: Final = 3
"""Times that a caller may try each call, and still show its fallback in enough answers."""
_Content = Annotated[Good, Field(json_schema_extra=all_of(none_of("within", "grpc")))]


class Further(TypedDict, total=False):
    """What every template takes in Python beside its own parameters: those of :class:`Template`, and fields of the experiment."""

    caller: str | None
    callers: Mapping[str, str]
    namespace: str
    path: str
    within: timedelta | str
    at_least: float | str
    during_fault: float | str
    answer: Good
    fallback: Good
    title: str
    description: str
    owner: str
    severity: Severity
    tags: Sequence[str]
    only_if_named: bool
    load: Load
    steady_state: Sequence[AnyExpectation]
    guardrails: Sequence[AnyExpectation]
    profile: Profile
    observe: Observe
    recovery: Recovery
    limits: Limits
    confidence: float | str
    min_faulted: int


WITHOUT_ANSWER: Final = (
    "Without answer, the content of answers is not checked: an error with status 200 counts as good."
)


class Template(Declared, ABC):
    """A common question about a service and one that it depends on; its fields are what ``with:`` takes."""

    key: ClassVar[str]
    """Its name, which a file ``uses``."""
    state: ClassVar[str]
    """What is the matter with the dependency, after its name: ``is down``."""
    asks: ClassVar[str]
    """The question, as one sentence."""
    shows: ClassVar[str]
    """Which defects it can show, as one sentence."""
    hides: ClassVar[str]
    """What it can't show, and where to look for that, as one sentence or several."""
    good: ClassVar[str] = "<500"
    """Statuses of answers without an error."""

    service: Name = Field(description="the Kubernetes Service that others depend on, and that has the trouble")
    caller: Name | None = Field(
        None,
        description="the Service that depends on it, and whose answers are looked at; without it, all callers feel the fault, "
        "and the answers that the load gets are looked at",
    )
    callers: dict[str, str] = Field(
        default_factory=dict, description="pod labels of the caller; without them, app with the caller's name"
    )
    namespace: Name = Field("staging", description="the staging namespace of both")
    path: str | None = Field(
        None,
        pattern=PATH_PATTERN,
        description="path that the load requests with GET at the mesh's entry, so that the dependency is called; "
        "not needed where load has requests or a locustfile",
    )
    within: SomeTime = Field(
        timedelta(seconds=1),
        description="how soon answers have to come; with a caller, a bound of the mesh's histogram",
    )
    at_least: UncertainShare = Field(0.99, description="smallest share of good answers")
    during_fault: AtLeast | None = Field(
        None,
        json_schema_extra={"not": {"type": "string", "pattern": CERTAIN_LIMIT}},
        description="smallest share of good answers during the fault; without it, atLeast",
    )
    answer: _Content | None = Field(
        None,
        description="content that every good answer has: header, body, jsonPath; finds errors that come with status 200",
    )
    fallback: _Content | None = Field(
        None,
        description="how a degraded answer is recognised: header, body, jsonPath; such answers have to come during the fault, "
        "and end after it",
    )

    @field_validator("caller")
    @classmethod
    def _another(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("service"):
            raise ValueError("expected another Service than service: the one whose answers depend on it")
        return value

    @field_validator("within")
    @classmethod
    def _counted_by_the_mesh(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        milliseconds = value / timedelta(milliseconds=1)
        if info.data.get("caller") is not None and milliseconds not in BUCKETS_MS:
            below = [bound for bound in BUCKETS_MS if bound < milliseconds][-1:]
            above = [bound for bound in BUCKETS_MS if bound > milliseconds][:1]
            nearest = " and ".join(format_duration(timedelta(milliseconds=bound)) for bound in (*below, *above))
            are = "are" if below and above else "is"
            raise ValueError(
                f"expected a bound of the histogram by which the mesh counts a caller's answers: the nearest {are} {nearest}"
            )
        return value

    @field_validator("answer", "fallback")
    @classmethod
    def _content(cls, value: Good | None) -> Good | None:
        if value is not None and (value.within is not None or value.grpc is not None):
            raise ValueError(
                "expected header, body, jsonPath or status, which describe an answer's content, and neither within nor grpc"
            )
        return value

    @model_validator(mode="after")
    def _shows(self) -> Self:
        if self.fallback is not None and self.hits**_TRIES < LEAST:
            raise ValueError(
                f"fallback: expected a percentage of at least {ceil(100 * LEAST ** (1 / _TRIES))}: then {format_share(LEAST)} of the answers show it "
                f"even if each call is tried {_TRIES} times. With {100 * self.hits:g}, a caller whose retries make up for the fault may show none: "
                "raise percentage, or leave fallback out"
            )
        return self

    @property
    def hits(self) -> float:
        """The share of the calls that are hit."""
        return 1.0

    @abstractmethod
    def faults(self) -> Sequence[Document]:
        """The faults, in the form of a file."""

    def hit(self) -> tuple[str, Mapping[str, str]]:
        """The Service whose calls are faulted, and the pod labels of the callers that feel it."""
        own = {"app": self.caller} if self.caller is not None else {}
        return self.service, self.callers or own

    def expected(self) -> Iterator[Document]:
        """The expectations, in the form of a file."""
        yield self.expects("without errors", {"status": self.good})
        yield self.expects(f"within {format_duration(self.soon)}", self.in_time)
        if self.answer is not None:
            content = {"status": self.good, **written(self.answer)}
            yield {"title": "answers have the right content", "from": "client", "good": content, **self.bounds}
        if self.fallback is not None:
            yield {
                "title": "answers are degraded as long as the fault lasts", "fallback": written(self.fallback),
                "atLeast": format_share(self.degraded), "atMost": format_share(min(LEAST, self.degraded / 2)),
            }  # fmt: skip

    @property
    def degraded(self) -> float:
        """Least share of answers that show the fallback during the fault."""
        return max(LEAST, _FEWEST * self.hits**_TRIES)

    @property
    def soon(self) -> timedelta:
        """How soon answers have to come."""
        return self.within

    @property
    def in_time(self) -> Document:
        """Which answers come in time."""
        return {"status": self.good, "within": format_duration(self.soon)}

    @property
    def bounds(self) -> Document:
        """The smallest shares of good answers."""
        during = {} if self.during_fault is None else {"duringFault": str(self.during_fault)}
        return {"atLeast": format_share(self.at_least), **during}

    def expects(self, how: str, good: Document) -> Document:
        """That the caller answers so, or that the load is answered so where no caller is named."""
        if self.caller is None:
            return {"title": f"requests are answered {how}", "from": "client", "good": good, **self.bounds}
        return {"title": f"{self.caller} answers {how}", "service": self.caller, "good": good, **self.bounds}

    def limits(self) -> Document:
        """The longest time of each phase, where the usual one is not enough."""
        return {}

    def document(self) -> Document:
        """The whole experiment but for its name, in the form of a file."""
        service, callers = self.hit()
        said = "" if self.answer is not None else f" {WITHOUT_ANSWER}"
        whose = f"{self.caller} answers" if self.caller is not None else "requests are answered"
        found: Document = {
            "title": f"{whose} while {self.service} {self.state}",
            "description": f"{self.asks} It can show: {self.shows} It can't show: {self.hides}{said}",
            "target": {
                "namespace": self.namespace,
                "service": service,
                **({"callers": dict(callers)} if callers else {}),
            },
            "faults": list(self.faults()),
            "load": {"rate": 40, **({"requests": [{"path": self.path}]} if self.path is not None else {})},
            "steadyState": list(self.expected()),
            "recovery": {"within": "30s"},
        }
        return {**found, **({"limits": limits} if (limits := self.limits()) else {})}

    @classmethod
    def experiment(cls, name: str, **given: Any) -> Experiment:
        """The experiment of a name; what is given are parameters of the template, and fields of the experiment.

        Raises:
            InputError: a value can't be used.
        """
        made = cls(**{key: value for key, value in given.items() if key in cls.model_fields})
        names = {key: field.alias or key for key, field in Experiment.model_fields.items()}
        beside = {names.get(key, key): value for key, value in given.items() if key not in cls.model_fields}
        if (made.path is None) is ("load" not in beside):
            raise InputError(
                f"{cls.__name__}: expected either path, which the load asks for at the mesh's entry, or load=Load(…)"
            )
        document = made.document()
        beside["steadyState"] = [*beside.get("steadyState", ()), *document["steadyState"]]
        return Experiment(name, **{**document, **beside})


class InPart:
    """Beside a template: ``percentage`` says which part of the calls is hit."""

    percentage: float

    @property
    def hits(self) -> float:
        """As declared."""
        return self.percentage / 100


def written(content: Good) -> Document:
    """What an answer is recognised by, in the form of a file."""
    return content.model_dump(mode="json", by_alias=True, exclude_unset=True)
