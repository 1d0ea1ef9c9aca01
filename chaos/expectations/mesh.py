"""A share of good events as the mesh counts them."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, field_validator

from chaos.expectations.counting import Count, Counter
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Look
from chaos.expectations.scene import Scene
from chaos.expectations.share import FROM, ShareOfGood
from chaos.istio.hosts import host_of
from chaos.istio.metrics import BUCKETS_MS, status_of
from chaos.values.answers import Tally
from chaos.values.conditions import inside, none_of
from chaos.values.declared import Placed
from chaos.values.quantities import format_share
from chaos.values.questions import Durations, Question, Side, requests_to
from chaos.values.remarks import Refusal, Warn

COUNTABLE: Final = none_of("header", "body", "jsonPath")
"""What proxies can tell of an answer, as far as a JSON Schema can say it."""


class Expectation(ShareOfGood):
    """A share of good answers of a service, counted by the proxies of its callers.

        >>> Expectation("orders are taken", service="order-svc", status="<500", within="1s", at_least="95%").good.status
        '<500'

    Args:
        title: What is expected, in words.
        service: The service whose answers are counted: its name in the target's namespace, or ``namespace/name`` anywhere.
        caller: Only the requests of this workload, by its name in the target's namespace or ``namespace/name``.
        good: Which answers are good; or, instead of it, ``status`` and ``within``.
        status: ``"<500"``, ``"2xx"``, ``"200"``; no answer is never good, nor is a gRPC answer with an error status.
        within: Answered within this time, which must be a bound of the mesh's histogram: 500 ms, 1 s, 2.5 s ….
        at_least: Least share before and after the fault, such as ``"99%"`` or 0.99.
        during_fault: Least share during the fault; ``"baseline - 0.5%"`` is relative to the observed baseline.

    Raises:
        InputError: a value is not of its form.
    """

    model_config = ConfigDict(json_schema_extra=inside("good", COUNTABLE))
    broken_by_errors: ClassVar[bool] = True
    side: ClassVar[Side] = Side.CALLERS
    """Whose proxies count."""

    service: Placed = Field(
        description="the service whose answers are counted: a name in the target's namespace, or namespace/name in any; "
        "`from: client` needs none"
    )
    caller: Placed | None = Field(
        None,
        description="only the requests that this workload sends (name, or namespace/name); without it, of all callers",
    )
    source: Literal["mesh"] = Field("mesh", alias="from", description=FROM)

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

    @field_validator("good")
    @classmethod
    def countable(cls, value: Good) -> Good:
        """What is good, if proxies can tell it.

        Raises:
            ValueError: they can't.
        """
        if value.markers:
            raise ValueError(
                "proxies don't count by content, so header, body and jsonPath need from: client (in Python a ClientExpectation)"
            )
        if value.milliseconds is not None and value.milliseconds not in BUCKETS_MS:
            bounds = ", ".join(f"{b:g}" for b in BUCKETS_MS[:13])
            raise ValueError(
                f"within: expected a bucket bound of the mesh's histogram (ms: {bounds}, …), or from: client (in Python a ClientExpectation)"
            )
        return value

    def questions(self, namespace: str) -> Iterator[Question]:
        """The service's requests; with a time, its histogram at that bound and as a whole."""
        host, side = host_of(self.service, namespace), self.side
        if self.good.milliseconds is None:
            yield requests_to(host, side)
        else:
            yield Durations(host=host, within=self.good.milliseconds, side=side)
            yield Durations(host=host, side=side)

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """The caller is there, and the fault alone does not violate it."""
        yield from super().unshown(scene)
        yield from scene.unknown(self.caller)
        bound, spoilt = self.bound_in("fault"), self.spoilt(scene)
        if spoilt > (bound.share if bound.relative else 1 - bound.share):
            yield Refusal(
                rule="target-is-affected",
                value=self.service,
                message=f"{self.title}: {self.service} is the target, and its callers' proxies count the faulted requests, too. So the fault alone makes at least "
                f"{format_share(spoilt)} of the requests bad (good are those {self.good}), whatever the system does",
                hint=f"expect it of a service that calls {self.service}, or of the answers to the load (from: client); or expect less during the fault "
                f"(duringFault), {format_share(1 - spoilt)} at most",
            )

    def spoilt(self, scene: Scene) -> float:
        """The share of the counted requests that the fault itself makes bad ones, at least."""
        if scene.host(self.service) != scene.target or self.side is not Side.CALLERS or not scene.is_hit(self.caller):
            return 0.0
        aborted = 0.0 if self._may_take(scene) else scene.aborted
        delayed = scene.delayed if self.good.seconds < scene.held else 0.0
        return 1 - (1 - aborted) * (1 - delayed)

    def _may_take(self, scene: Scene) -> bool:
        """Whether some of what the fault answers may be good; which gRPC status a status of HTTP becomes is not known."""
        named = self.good.grpc.split("|") if self.good.grpc is not None else ["OK"]
        of_http = self.good.grpc is not None or any(map(self.good.status_is_good, scene.passed_on))
        return (bool(scene.passed_on) and of_http) or not scene.passed_on_grpc.isdisjoint(named)

    def holding(self, evidence: Evidence, look: Look) -> Window:
        """Histograms trail their counters, so the fault's last answers come in after it: a recovery shows only if they are good too."""
        if self.good.milliseconds is None or look.phase != "recovery" or look.reaches_back:
            return look.window
        return Window(look.window.start - evidence.histogram_lag, look.window.end)

    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        """Good and all answers in a window."""
        host, bound = host_of(self.service, namespace), self.good.milliseconds
        evidence = self.its_part(evidence, namespace)
        good = total = 0
        lower = False
        found: Iterator[tuple[Counter, int, Count]]
        if bound is None:
            counted = evidence.counted(requests_to(host, self.side), window)
            found = ((one, every.events, every) for one, every in counted)
        else:
            found = evidence.timed(host, bound, window, side=self.side)
        met = self.good.is_met_by
        for one, fine, every in found:
            total += every.events
            lower |= every.lower_bound
            if every.events and one.read(met):
                good += fine
        return Tally(good=good, total=total, lower_bound=lower)

    @property
    def events(self) -> str:
        """The requests of the service's callers, or of one."""
        return f"requests{self.by} to {self.service}"

    def statuses(self, evidence: Evidence, window: Window, namespace: str) -> Mapping[str, int]:
        """By the answers' status, and that of gRPC where it is an error."""
        host, timed = host_of(self.service, namespace), self.good.milliseconds is not None
        question = Durations(host=host, side=self.side) if timed else requests_to(host, self.side)
        evidence = self.its_part(evidence, namespace)
        return by_status(evidence.counted(question, self.counting(evidence, window)))

    def counting(self, evidence: Evidence, window: Window) -> Window:
        """Histograms trail their counters."""
        late = 0.0 if self.good.milliseconds is None else evidence.histogram_lag
        return Window(window.start + late, window.end)


def by_status(counted: Iterable[tuple[Counter, Count]]) -> Mapping[str, int]:
    """The events of series by their status."""
    found = collections.Counter[str]()
    for one, every in counted:
        if every.events:
            found[status_of(one.labels)] += every.events
    return found
