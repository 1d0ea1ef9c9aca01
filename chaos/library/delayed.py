"""Templates in which a dependency answers late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, Self, Unpack

from pydantic import Field, ValidationInfo, field_validator, model_validator

from chaos.istio.metrics import BUCKETS_MS
from chaos.library.template import Document, Further, InPart, Template
from chaos.model.experiment import Experiment
from chaos.values.declared import Name
from chaos.values.quantities import Percentage, SomeTime, format_duration

_OWN_TIME_OUT: Final = (
    "a timeout that Istio has for the dependency, since the caller's proxy holds the call back before that timeout begins (the "
    "template slower-than-its-time-out can, with behind); answers that arrive in parts."
)
_ROOM: Final = 1.5
"""Times the time-out that an answer may take, for what the caller does beside waiting."""


class DependencySlow(InPart, Template):
    """Calls of a dependency are late."""

    key = "dependency-slow"
    state = "is slow"
    asks = "The calls of the dependency are late: does its caller answer in time all the same?"
    shows = "a time-out that is missing, too long or tried too often, a fallback that throws, and a pool that waiting calls fill."
    hides = _OWN_TIME_OUT

    percentage: Percentage = Field(100, description="percent of the calls that are late")
    delay: SomeTime = Field(
        timedelta(seconds=2), validate_default=True, description="how late they are; more than within"
    )

    @field_validator("delay")
    @classmethod
    def _late_enough(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        within: timedelta | None = info.data.get("within")
        if within is not None and value <= within:
            raise ValueError(
                f"expected more than within, {format_duration(within)}, since a caller that waits for the dependency would be in time"
            )
        return value

    def faults(self) -> Sequence[Document]:
        """Calls are delayed."""
        return [_late(self.delay, self.percentage)]


class Hanging(DependencySlow):
    """Calls of a dependency get no answer for longer than anybody should wait."""

    key = "hanging"
    state = "hangs"
    asks = "The calls of the dependency get no answer for a quarter of a minute: does its caller give up in time, and stay well meanwhile?"
    shows = "a call without a time-out, threads or connections that are used up by waiting, and a recovery that does not come."
    hides = f"connections that are never made, or that break; {_OWN_TIME_OUT}"

    delay: SomeTime = Field(
        timedelta(seconds=15), validate_default=True, description="for how long there is no answer; more than within"
    )


class SlowerThanItsTimeOut(Template):
    """A dependency is slower than the time-out that its caller, or the mesh, has for it."""

    key = "slower-than-its-time-out"
    state = "is slower than its time-out"
    asks = "The dependency takes longer than its time-out: does the time-out end the call, and does the caller answer in time?"
    shows = "a time-out that is not set, not in effect, or retried until the caller is late, and a caller that can't handle the ended call."
    hides = (
        "without behind, a timeout that Istio has for service, since the caller's proxy holds the call back before that timeout begins; "
        "with behind, such a timeout if service does not wait for behind, since then it never has to act."
    )

    time_out: SomeTime = Field(
        description="the time-out for the calls of service, as the caller or its VirtualService declares it"
    )
    behind: Name | None = Field(
        None,
        description="a Service that service calls and waits for: its calls are delayed instead of those of service, so that "
        "a timeout that a VirtualService declares for service has to act",
    )

    @property
    def soon(self) -> timedelta:
        """The first bound of the histogram after the time-out, with some room, unless it is declared."""
        if "within" in self.model_fields_set:
            return self.within
        needed = _ROOM * self.time_out / timedelta(milliseconds=1)
        return timedelta(milliseconds=next((bound for bound in BUCKETS_MS if bound >= needed), needed))

    @field_validator("behind")
    @classmethod
    def _further(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("service"):
            raise ValueError("expected another Service than service: one that service calls")
        return value

    @model_validator(mode="after")
    def _later(self) -> Self:
        if self.soon <= self.time_out:
            raise ValueError(
                f"within: {format_duration(self.soon)}: expected more than timeOut, {format_duration(self.time_out)}, which the caller waits for"
            )
        return self

    def hit(self) -> tuple[str, Mapping[str, str]]:
        """What is behind the service, where that is named; then the service is the caller that feels it."""
        return super().hit() if self.behind is None else (self.behind, self.callers or {"app": self.service})

    @property
    def hits(self) -> float:
        """All; with ``behind`` a part, so that others succeed meanwhile."""
        return 1.0 if self.behind is None else 0.5

    def faults(self) -> Sequence[Document]:
        """Calls are delayed until who waits is surely late."""
        return [_late(2 * self.soon, 100 * self.hits)]

    def expected(self) -> Iterator[Document]:
        """With ``behind``: also that the timeout of the mesh is what ends the calls."""
        found = super().expected()
        if self.behind is None:
            yield from found
            return
        if self.caller is None:
            next(found)  # a gateway can only tell its users that the time is out, which is an error
        yield from found
        yield {
            "title": f"the time-out for {self.service} ends calls", "service": self.service, "flags": ["UT"],
            "atMost": "1%", "duringFault": "at least 20%",
        }  # fmt: skip

    @property
    def in_time(self) -> Document:
        """At a gateway, errors too."""
        any_status = self.behind is not None and self.caller is None
        return {**super().in_time, **({"status": "<600"} if any_status else {})}


def _late(delay: timedelta, percentage: float) -> Document:
    return {"delay": {"percentage": percentage, "fixedDelay": format_duration(delay)}}


def dependency_slow(
    name: str, *, service: str, delay: timedelta | str = "2s", percentage: float = 100, **further: Unpack[Further]
) -> Experiment:
    """The calls of ``service`` are late: does its caller answer in time all the same?

        >>> slow = dependency_slow("stock-slow", service="inventory-svc", path="/orders/42", delay="5s", within="2s")
        >>> str(slow.fault), slow.steady_state[1].title
        ('delay of 100% by 5s', 'requests are answered within 2s')

    Args:
        name: The experiment's name.
        service: The dependency.
        delay: How late its calls are; more than ``within``.
        percentage: Percent of the calls that are late.
        further: Parameters of every template, and fields of the experiment.

    Raises:
        InputError: a value can't be used.
    """
    return DependencySlow.experiment(name, service=service, delay=delay, percentage=percentage, **further)


def hanging(
    name: str, *, service: str, delay: timedelta | str = "15s", percentage: float = 100, **further: Unpack[Further]
) -> Experiment:
    """The calls of ``service`` get no answer: does its caller give up in time? As :func:`dependency_slow`.

    Args:
        name: The experiment's name.
        service: The dependency.
        delay: For how long there is no answer.
        percentage: Percent of the calls that hang.
        further: Parameters of every template, and fields of the experiment.
    """
    return Hanging.experiment(name, service=service, delay=delay, percentage=percentage, **further)


def slower_than_its_time_out(
    name: str, *, service: str, time_out: timedelta | str, behind: str | None = None, **further: Unpack[Further]
) -> Experiment:
    """``service`` takes longer than the time-out that its caller, or the mesh, has for it: does the time-out act?

    Args:
        name: The experiment's name.
        service: The dependency.
        time_out: The time-out for its calls.
        behind: A Service that ``service`` waits for, where the time-out is that of a VirtualService for ``service``.
        further: Parameters of every template, and fields of the experiment.

    Raises:
        InputError: a value can't be used.
    """
    return SlowerThanItsTimeOut.experiment(name, service=service, time_out=time_out, behind=behind, **further)
