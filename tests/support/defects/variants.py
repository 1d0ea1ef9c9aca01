"""How a defect is described: a broken shop, its healthy twin, and the reason that must come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop

Moment = Literal["start", "fault", "restore"]
V = TypeVar("V")
"""How a variant of a shop is described."""
ENDLESS: Final = 10_000.0
"""Seconds; longer than any run."""


@dataclass(frozen=True)
class Change:
    """From a moment on, the shop behaves in another way.

    Args:
        since: From when on its seconds count.
        seconds: So long after that.
        traffic: Attributes of the shop's traffic.
    """

    since: Moment
    seconds: float
    traffic: Mapping[str, Any]


def changes(since: Moment, *steps: tuple[float, Mapping[str, Any]]) -> Sequence[Change]:
    return [Change(since, seconds, traffic) for seconds, traffic in steps]


def outages(length: float, every: float, share: float = 1.0) -> Sequence[Change]:
    """Some time in which a share of all orders fails, again and again, as long as anybody looks."""
    found: list[Change] = []
    for number in range(int(400 / every)):
        at = (number + 0.6) * every
        found += changes("start", (at, {"broken": share}), (at + length, {"broken": 0.0}))
    return found


@dataclass(frozen=True)
class Variant:
    """A shop as it behaves: what it does from the beginning, and how it changes.

    Args:
        arrival: Seconds until the proxies have what was written.
        distribution: Seconds until the proxies lose what was taken out.
    """

    shop: Mapping[str, Any] = field(default_factory=dict)
    later: Sequence[Change] = ()
    arrival: float = 0.0
    distribution: float = 0.0


@dataclass(frozen=True)
class Defect(Generic[V]):
    """One defect: the experiment that somebody would write, both shops, and the reason that must come.

    Args:
        reason: Of the broken shop.
        broken: Which has the defect.
        twin: Which has it not.
        declared: What differs from ``DECLARED``.
        or_else: Reasons that may come beside it, or in its place.
        names: What the messages have to name.
    """

    reason: ReasonCode
    broken: V
    twin: V
    declared: Mapping[str, str] = field(default_factory=dict)
    or_else: Sequence[ReasonCode] = ()
    names: str = ""

    def told(self, verdict: Verdict) -> bool:
        """Whether a verdict on the broken shop has the right reason, and no other one."""
        codes = {reason.code for reason in verdict.reasons}
        messages = " ".join(reason.message for reason in verdict.reasons)
        return bool(codes) and codes <= {self.reason, *self.or_else} and self.names in messages


def shop(**behaviour: Any) -> Variant:
    return Variant(behaviour)


def then(since: Moment, *steps: tuple[float, Mapping[str, Any]]) -> Variant:
    return Variant(later=changes(since, *steps))


def during(**changed: Any) -> Variant:
    """What changes with the fault, and back with its end."""
    return Variant(later=[Change("fault", 0, changed), Change("restore", 0, usual(changed))])


def afterwards(seconds: float, **changed: Any) -> Variant:
    """What changes with the fault's end, and back some seconds later."""
    return Variant(later=[Change("restore", 0, changed), Change("restore", seconds, usual(changed))])


def usual(names: Iterable[str]) -> Mapping[str, Any]:
    return {name: getattr(Shop().traffic, name) for name in names}
