"""Templates in which a dependency answers with errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import inf
from typing import ClassVar, Self, Unpack

from pydantic import Field, field_validator, model_validator

from chaos.faults.stage import CHANGE, SHORTEST
from chaos.library.template import LEAST, Document, Further, InPart, Protocol, Template
from chaos.model.experiment import Experiment, Limits
from chaos.values.declared import Name
from chaos.values.quantities import Duration, Percentage, format_duration, shorter_than

_NEVER_CONNECTED = (
    "connections that are refused or hang, since the caller's proxy answers at once; retries, timeout, outlierDetection and "
    "connectionPool that Istio has for the dependency, since that proxy injects the fault before they act."
)


class Aborting(Template):
    """A dependency whose calls the caller's proxy answers with an error."""

    http_status: ClassVar[int] = 503
    grpc_status: ClassVar[str] = "UNAVAILABLE"

    protocol: Protocol = Field("http", description="what the dependency speaks: http or grpc")

    def abort(self, percentage: float) -> Document:
        """The fault, in the form of a file."""
        status = {"httpStatus": self.http_status} if self.protocol == "http" else {"grpcStatus": self.grpc_status}
        return {"abort": {"percentage": percentage, **status}}


class Asking(Aborting):
    """One where it counts how often the caller asks again."""

    workload: Name | None = Field(
        None,
        description="the caller's workload, such as its Deployment's name: only its calls are counted; without it, those of all "
        "who call the dependency",
    )
    calls_per_request: int = Field(
        1, ge=1, le=1000, strict=True,
        description="how often one request of the caller calls the dependency while all is well, where that is more than once",
    )  # fmt: skip
    attempts: float = Field(
        5, gt=1, le=1000, strict=True,
        description="largest mean number of attempts for each of these calls during the fault, over 1, since the call itself is the "
        "first of them; more are a retry storm, and a mean that equals it can't be decided",
    )  # fmt: skip

    def expected(self) -> Iterator[Document]:
        """And no retry storm."""
        yield from super().expected()
        only = {key: name for key, name in (("caller", self.workload), ("per", self.caller)) if name is not None}
        yield {
            "title": f"no retry storm at {self.service}", "attempts": self.service, **only,
            "atMost": 1.5 * self.calls_per_request, "duringFault": self.attempts * self.calls_per_request,
        }  # fmt: skip


class DependencyDown(Asking):
    """Every call of a dependency fails at once."""

    key = "dependency-down"
    state = "is down"
    asks = "Every call of the dependency fails at once: does its caller go on answering, in time, and without a retry storm?"
    shows = "a hard dependency, a fallback that throws, a retry storm, an answer that comes too late, and a recovery that does not come."
    hides = _NEVER_CONNECTED

    def faults(self) -> Sequence[Document]:
        """All calls are aborted."""
        return [self.abort(100)]


class PartlyFailing(InPart, Aborting):
    """A part of the calls of a dependency fails."""

    key = "partly-failing"
    state = "fails for a part of its calls"
    asks = "A part of the calls of the dependency fails, by chance: do retries or a fallback make up for it?"
    shows = "errors that are passed on, retries that are too few or too slow, and a fallback that throws."
    hides = f"errors that hit one replica or one kind of request alone; {_NEVER_CONNECTED}"

    percentage: Percentage = Field(50, description="percent of the calls that fail")

    @property
    def degraded(self) -> float:
        """Four retries leave so much where half of the calls fail."""
        return LEAST

    def faults(self) -> Sequence[Document]:
        """A part of the calls is aborted."""
        return [self.abort(self.percentage)]


class RateLimited(InPart, Asking):
    """A dependency rejects calls because there are too many."""

    key = "rate-limited"
    state = "limits the rate of its calls"
    http_status = 429
    grpc_status = "RESOURCE_EXHAUSTED"
    good = "<400"
    asks = (
        "The dependency rejects most calls because there are too many (429, RESOURCE_EXHAUSTED): does its caller go on "
        "answering, without a retry storm?"
    )
    shows = (
        "a refusal that is passed on as an error or as 429, and retries that make the load on the dependency larger."
    )
    hides = (
        "whether the caller waits as long as Retry-After says, since the fault has no such header; whether a rate limit of the "
        f"dependency's own takes effect; {_NEVER_CONNECTED}"
    )

    percentage: Percentage = Field(80, description="percent of the calls that are rejected")
    attempts: float = Field(
        3.5, gt=1, le=1000, strict=True,
        description="largest mean number of attempts for each call during the fault: one retry makes 1.8, two make 2.4, endless ones 5",
    )  # fmt: skip

    @model_validator(mode="after")
    def _can_be_broken(self) -> Self:
        endless = 100 / (100 - self.percentage) if self.percentage < 100 else inf
        if self.attempts >= endless:
            raise ValueError(
                f"attempts: {self.attempts:g}: expected less than {endless:.3g}, since even endless retries make no more "
                f"where {self.percentage:g}% of the calls are rejected"
            )
        return self

    @property
    def degraded(self) -> float:
        """Of four of five calls that are rejected, a tenth of the answers, and two tries leave more of fewer, too."""
        return max(LEAST, 0.1 * (self.percentage / 80) ** 2)

    def faults(self) -> Sequence[Document]:
        """Most calls are aborted."""
        return [self.abort(self.percentage)]


class Flapping(Aborting):
    """A dependency fails and comes back, again and again."""

    key = "flapping"
    state = "fails and comes back, again and again"
    asks = "The dependency is down and back by turns: does its caller answer in every stretch, and is it well soon afterwards?"
    shows = "a hard dependency, and a caller that does not get over one outage before the next: a stuck pool, a backlog, a poisoned cache."
    hides = (
        "in which of the stretches errors came, since they are judged together (the picture of the run shows it); outages that are "
        f"shorter than 5 s; {_NEVER_CONNECTED}"
    )

    lasts: Duration = Field(
        timedelta(seconds=15),
        json_schema_extra={"not": shorter_than(5)},
        description="how long each stretch takes, of those that fail and of those between; at least two scrape intervals",
    )
    times: int = Field(3, ge=2, le=50, strict=True, description="how often it fails")

    @property
    def degraded(self) -> float:
        """Half of the time nothing fails."""
        return 0.2

    @field_validator("lasts")
    @classmethod
    def _long_enough(cls, value: timedelta) -> timedelta:
        if value < SHORTEST:
            raise ValueError(f"expected at least {format_duration(SHORTEST)}")
        return value

    def faults(self) -> Sequence[Document]:
        """All calls are aborted in every other stage."""
        each = format_duration(self.lasts)
        return [{**self.abort(100), "stages": [{"for": each}, {"for": each, "off": True}], "repeat": self.times}]

    def limits(self) -> Document:
        """All stages fit."""
        needed = 2 * self.times * (self.lasts + CHANGE)
        return {"fault": format_duration(needed)} if needed > Limits().fault else {}


def dependency_down(
    name: str,
    *,
    service: str,
    protocol: Protocol = "http",
    workload: str | None = None,
    calls_per_request: int = 1,
    attempts: float = 5,
    **further: Unpack[Further],
) -> Experiment:
    """Every call of ``service`` fails at once (503, ``UNAVAILABLE``): does its caller go on answering?

        >>> dependency_down("stock-down", service="inventory-svc", caller="order-svc", path="/orders/42").headline
        'order-svc answers while inventory-svc is down'

    Args:
        name: The experiment's name.
        service: The dependency.
        protocol: What it speaks.
        workload: The caller's workload, if only its calls are to be counted.
        calls_per_request: How often one request of the caller calls it while all is well.
        attempts: Largest mean number of attempts for each call during the fault.
        further: Parameters of every template, and fields of the experiment.

    Raises:
        InputError: a value can't be used.
    """
    own = {"protocol": protocol, "workload": workload, "calls_per_request": calls_per_request, "attempts": attempts}
    return DependencyDown.experiment(name, service=service, **own, **further)


def partly_failing(
    name: str, *, service: str, protocol: Protocol = "http", percentage: float = 50, **further: Unpack[Further]
) -> Experiment:
    """A part of the calls of ``service`` fails: do retries or a fallback make up for it? As :func:`dependency_down`.

    Args:
        name: The experiment's name.
        service: The dependency.
        protocol: What it speaks.
        percentage: Percent of the calls that fail.
        further: Parameters of every template, and fields of the experiment.
    """
    return PartlyFailing.experiment(name, service=service, protocol=protocol, percentage=percentage, **further)


def rate_limited(
    name: str,
    *,
    service: str,
    protocol: Protocol = "http",
    percentage: float = 80,
    workload: str | None = None,
    calls_per_request: int = 1,
    attempts: float = 3.5,
    **further: Unpack[Further],
) -> Experiment:
    """``service`` rejects most calls (429, ``RESOURCE_EXHAUSTED``): does its caller go on answering, and not ask again and again?

    Args:
        name: The experiment's name.
        service: The dependency.
        protocol: What it speaks.
        percentage: Percent of the calls that are rejected.
        workload: The caller's workload, if only its calls are to be counted.
        calls_per_request: How often one request of the caller calls it while all is well.
        attempts: Largest mean number of attempts for each call during the fault.
        further: Parameters of every template, and fields of the experiment.
    """
    own = {"percentage": percentage, "workload": workload, "calls_per_request": calls_per_request, "attempts": attempts}
    return RateLimited.experiment(name, service=service, protocol=protocol, **own, **further)


def flapping(
    name: str,
    *,
    service: str,
    protocol: Protocol = "http",
    lasts: timedelta | str = "15s",
    times: int = 3,
    **further: Unpack[Further],
) -> Experiment:
    """``service`` is down and back by turns: does its caller answer in every stretch?

    Args:
        name: The experiment's name.
        service: The dependency.
        protocol: What it speaks.
        lasts: How long each stretch takes, of those that fail and of those between.
        times: How often it fails.
        further: Parameters of every template, and fields of the experiment.
    """
    return Flapping.experiment(name, service=service, protocol=protocol, lasts=lasts, times=times, **further)
