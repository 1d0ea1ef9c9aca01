"""A share of good events at each replica of a service, as the replicas' own proxies count them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, Field

from chaos.expectations.confidence import shared
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Finding, Look, Phase
from chaos.expectations.mesh import COUNTABLE, Expectation
from chaos.expectations.scene import Scene
from chaos.expectations.share import worst_of
from chaos.istio.metrics import replica_of
from chaos.values.answers import Answer, ExpectationResult
from chaos.values.conditions import inside
from chaos.values.questions import Question, Side
from chaos.values.remarks import Refusal, Warn

if TYPE_CHECKING:
    from chaos.expectations.good import Good


class ReplicaExpectation(Expectation):
    """A share of good answers of each replica of a service, counted by the replicas' own proxies (``per: replica``).

        >>> ReplicaExpectation("no replica is bad", service="order-svc", status="<500", at_least="99%").per
        'replica'

    A bad replica among good ones hardly shows in the service's own share. Here every replica is decided on its own, and the
    ones that are bad are named. Requests that an injected abort answers never reach a replica, so they do not count.

    Args:
        title: What is expected, in words.
        service: The service: its name in the target's namespace, or ``namespace/name`` anywhere.
        caller: Only the requests of this workload, by its name in the target's namespace or ``namespace/name``.
        good: Which answers are good; or, instead of it, ``status`` and ``within``.
        status: ``"<500"``, ``"2xx"``, ``"200"``; no answer is never good, nor is a gRPC answer with an error status.
        within: Answered within this time, which must be a bound of the mesh's histogram: 500 ms, 1 s, 2.5 s ….
        at_least: Least share of each replica before and after the fault, such as ``"99%"`` or 0.99.
        during_fault: Least share during the fault; ``"baseline - 0.5%"`` is relative to the replica's own baseline.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "per"
    model_config = ConfigDict(
        json_schema_extra={"required": ["title", "service", "per", "good", "atLeast"], **inside("good", COUNTABLE)}
    )

    side: ClassVar[Side] = Side.CALLED

    per: Literal["replica"] = Field("replica", description="every replica is decided on its own")

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            service: str,
            at_least: float | str,
            caller: str | None = None,
            good: Good | None = None,
            status: str | None = None,
            within: timedelta | str | None = None,
            during_fault: float | str | None = None,
        ) -> None: ...

    @property
    def counts_what_arrived(self) -> bool:
        """At the replicas."""
        return True

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """The replicas need proxies that count."""
        yield from super().unshown(scene)
        yield from scene.uncounted(self.service)

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated once one replica is, holds once all do; each has its part of alpha.

        That a bad replica is missed is as unlikely as that one decision is wrong; the parts are for the other way, since any
        good replica may be called bad. A replica that was scraped in the window and got no request leaves it undecided.
        """
        replicas = replicas_in(evidence, self.questions(look.namespace), look.window)
        if not replicas:
            return super().decide(evidence, look)
        part = replace(look, confidence=shared(look.confidence, len(replicas)))
        found = {one: super(ReplicaExpectation, self).decide(evidence.only(replica_of, one), part) for one in replicas}
        shown, same = worst_of(found, silent=1.0)
        where = f"{', '.join(same)} ({len(same)} of {len(found)} replicas)"
        return replace(shown, where=f"the worst of {len(found)} replicas" if shown.answer is Answer.HOLDS else where)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the replicas that decided."""
        told = super().tell(found, phase)
        where = f"{found.where}: " if found.where else ""
        return told.model_copy(
            update={"expected": f"{told.expected} at each replica", "observed": f"{where}{told.observed}"}
        )


def replicas_in(evidence: Evidence, questions: Iterable[Question], window: Window) -> Sequence[str]:
    """Those that were scraped in a window; one that never got any request has no series, so nothing tells of it."""
    found = {
        one.read(replica_of)
        for question in questions
        for one in evidence.counters(question)
        if one.times[one.inside(window.start, window.end)]
    }
    return sorted(found)
