"""How many of a service's requests ended with one of Envoy's response flags: shed, timed out, given up after retries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from chaos.expectations.bound import AtLeastOrMost, Bound, Limit
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.scene import Scene
from chaos.expectations.share import Share
from chaos.istio.hosts import host_of
from chaos.istio.metrics import FLAGS, INJECTED, flags_of
from chaos.values.answers import ExpectationResult, Tally
from chaos.values.declared import Placed
from chaos.values.quantities import Share as ShareOf
from chaos.values.questions import Question, Requests
from chaos.values.remarks import Refusal, Warn

KNOWN: Final = tuple(sorted(FLAGS.keys() - INJECTED))


def _known(flags: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [flag for flag in flags if flag not in KNOWN]:
        proof = "; those of injected faults are for the proof" if INJECTED & set(wrong) else ""
        raise ValueError(f"expected response flags of Envoy ({', '.join(KNOWN)}), not {', '.join(wrong)}{proof}")
    return flags


Flags = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
    AfterValidator(_known),
    WithJsonSchema({"anyOf": [{"enum": list(KNOWN)}, {"type": "array", "items": {"enum": list(KNOWN)}, "minItems": 1}]}),
]  # fmt: skip


class FlagsExpectation(Kind):
    """At most a share of a service's requests with one of these response flags of Envoy, or at least one (``flags``).

        >>> FlagsExpectation("none is shed", service="order-svc", flags="UO", at_most="1%").flags
        ('UO',)

    The proxies of its callers set them (Envoy, ``access_log/usage``): ``UO`` no room in the connection pool, ``UH`` no healthy replica,
    ``UT`` no answer within the time-out, ``URX`` all retries used, ``UF`` no connection, ``NR`` no route. An injected abort is
    answered before all of these, so they are for the hops behind the faulted one: what its callers' callers see.

    Args:
        title: What is expected, in words.
        service: The service that is asked: its name in the target's namespace, or ``namespace/name`` anywhere.
        caller: Only the requests of this workload, by its name in the target's namespace or ``namespace/name``.
        flags: One flag or several; a request counts if it has any of them.
        at_most: Largest share before and after the fault, such as ``"1%"``.
        during_fault: ``"at most 5%"`` or ``"at least 20%"`` during the fault; without it, ``at_most``.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "flags"
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atMost", "fault": "duringFault", "recovery": "atMost"}

    service: Placed = Field(
        description="the service that is asked: a name in the target's namespace, or namespace/name"
    )
    caller: Placed | None = Field(None, description="only the requests of this workload; without it, of all callers")
    flags: Flags = Field(
        description="response flags of Envoy, such as UO or [UO, UH]; a request with any of them counts"
    )
    at_most: ShareOf = Field(description="largest share of such requests before and after the fault, such as 1%")
    during_fault: AtLeastOrMost | None = Field(
        None, description="'at most 5%' or 'at least 20%' while the fault is active; without it, atMost"
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            service: str,
            flags: str | Sequence[str],
            at_most: float | str,
            caller: str | None = None,
            during_fault: str | None = None,
        ) -> None: ...

    def in_steady_state(self) -> Self:
        """Itself: its bounds can be decided."""
        for share in (self.at_most, self.during_fault.share if self.during_fault is not None else self.at_most):
            if share in (0.0, 1.0):
                raise ValueError("expected shares over 0% and under 100%: no number of requests can prove 0% or 100%")
        return self

    def questions(self, namespace: str) -> Iterator[Question]:
        """The service's requests."""
        yield Requests(host=host_of(self.service, namespace))

    @property
    def notices_after(self) -> float:
        """None, unless such requests are expected."""
        return 0.0 if self.during_fault is not None and self.during_fault.least else inf

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """A fault answers before the router, which sets the flags: it can't be what makes them appear at its own hop."""
        yield from scene.unknown(self.caller)
        if self.during_fault is not None and self.during_fault.least:
            yield from scene.unreached(self.service, f"{' or '.join(self.flags)}")

    @property
    def needs_fault(self) -> bool:
        """It does, if many flags are expected."""
        return self.during_fault is not None and self.during_fault.least

    @property
    def has_to_rise(self) -> tuple[float, float] | None:
        """That of requests with the flags, if many are expected."""
        needed = self.during_fault if self.needs_fault else None
        return None if needed is None else (self.at_most, needed.share)

    def takes(self, phase: Prospect) -> Takes:
        """As a share does."""
        return replace(self._share_in(phase.phase).takes(phase), key=self.key_of_bound(phase.phase))

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """As a share is decided."""
        return self._share_in(look.phase).decide(evidence, look)

    def apart(self, evidence: Evidence, look: Look) -> Mapping[str, Tally]:
        """As of a share."""
        return self._share_in(look.phase).apart(evidence, look)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the interval of the share."""
        return self._share_in(phase).tell(found, phase)

    def course(self, evidence: Evidence, look: Look, seconds: float) -> Iterator[tuple[float, float]]:
        """That of the share."""
        return self._share_in(look.phase).course(evidence, look, seconds)

    def _share_in(self, phase: Phase) -> Flagged:
        limit = self.during_fault if phase == "fault" and self.during_fault is not None else Limit(share=self.at_most)
        return Flagged(title=self.title, service=self.service, caller=self.caller, flags=self.flags, limit=limit)


class Flagged(Share):
    """The share of requests with any of some flags, compared with one limit; an event without them is good where few are wanted."""

    service: Placed
    caller: Placed | None
    flags: tuple[str, ...]
    limit: Limit

    def questions(self, namespace: str) -> Iterator[Question]:
        """The service's requests."""
        yield Requests(host=host_of(self.service, namespace))

    def bound_in(self, phase: Phase) -> Bound:
        """The limit, of good events."""
        del phase
        return Bound(share=self.limit.share if self.limit.least else 1 - self.limit.share)

    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        """Those with the flags among all; or those without."""
        evidence = self.its_part(evidence, namespace)
        good = total = 0
        lower = False
        for one, found in evidence.counted(Requests(host=host_of(self.service, namespace)), window):
            total += found.events
            lower |= found.lower_bound
            if one.read(flags_of).isdisjoint(self.flags) is not self.limit.least:
                good += found.events
        return Tally(good=good, total=total, lower_bound=lower)

    def claimed(self, phase: Phase) -> str:
        """The limit."""
        del phase
        return str(self.limit)

    def expected(self, phase: Phase, bound: float) -> str:
        """The limit."""
        del phase, bound
        return f"{self.limit} of requests{self.by} to {self.service} with flag {' or '.join(self.flags)}"

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """The share of those with the flags, whichever are good."""
        told = super().tell(found, phase)
        if self.limit.least:
            return told
        flagged = found.tally.model_copy(update={"good": found.tally.total - found.tally.good})
        other = super().tell(replace(found, tally=flagged, bound=1 - found.bound), phase)
        return told.model_copy(update={"observed": other.observed})
