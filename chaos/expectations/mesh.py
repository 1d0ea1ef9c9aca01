"""A share of good events as the mesh counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from chaos.expectations.counting import Count, Counter
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.share import FROM, ShareOfGood
from chaos.istio.hosts import service_fqdn
from chaos.istio.metrics import BUCKETS_MS, status_of
from chaos.values.answers import Tally
from chaos.values.declared import Name
from chaos.values.questions import Durations, Question, Requests

if TYPE_CHECKING:
    from chaos.expectations.good import Good


class Expectation(ShareOfGood):
    """A share of good answers of a service, counted by the proxies of its callers.

        >>> Expectation("orders are taken", service="order-svc", status="<500", within="1s", at_least="95%").good.status
        '<500'

    Args:
        title: What is expected, in words.
        service: The service whose answers are counted, in the target's namespace.
        good: Which answers are good; or, instead of it, ``status`` and ``within``.
        status: ``"<500"``, ``"2xx"``, ``"200"``; no answer is never good, nor is a gRPC answer with an error status.
        within: Answered within this time, which must be a bound of the mesh's histogram: 500 ms, 1 s, 2.5 s ….
        at_least: Least share before and after the fault, such as ``"99%"`` or 0.99.
        during_fault: Least share during the fault; ``"baseline - 0.5%"`` is relative to the observed baseline.

    Raises:
        InputError: a value is not of its form.
    """

    broken_by_errors: ClassVar[bool] = True

    service: Name = Field(
        description="the service whose answers are counted, in the target's namespace; `from: client` needs none"
    )
    source: Literal["mesh"] = Field("mesh", alias="from", description=FROM)

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            service: str,
            at_least: float | str,
            good: Good | None = None,
            status: str | None = None,
            within: timedelta | str | None = None,
            during_fault: float | str | None = None,
        ) -> None: ...

    @classmethod
    def recognises(cls, declared: Mapping[str, Any]) -> bool:
        """What is of no other kind."""
        del declared
        return True

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.good.milliseconds is not None and self.good.milliseconds not in BUCKETS_MS:
            bounds = ", ".join(f"{b:g}" for b in BUCKETS_MS[:13])
            raise ValueError(
                f"good.within: expected a bucket bound of the mesh's histogram (ms: {bounds}, …), or from: client (in Python a ClientExpectation)"
            )
        return self

    def questions(self, namespace: str) -> Iterator[Question]:
        """The service's requests; with a time, its histogram at that bound and as a whole."""
        host = service_fqdn(self.service, namespace)
        if self.good.milliseconds is None:
            yield Requests(host=host)
        else:
            yield Durations(host=host, within=self.good.milliseconds)
            yield Durations(host=host)

    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        """Good and all answers in a window, over all series."""
        host, bound = service_fqdn(self.service, namespace), self.good.milliseconds
        good = total = 0
        lower = False
        if bound is None:
            found = ((one, every.events, every) for one, every in evidence.counted(Requests(host=host), window))
        else:
            found = ((one, within, every) for one, within, every in evidence.timed(host, bound, window))
        for one, fine, every in found:
            total += every.events
            lower |= every.lower_bound
            if every.events and self._is_good(one):
                good += fine
        return Tally(good=good, total=total, lower_bound=lower)

    def statuses(self, evidence: Evidence, window: Window, namespace: str) -> Mapping[str, int]:
        """By the answers' status, and that of gRPC where it is an error."""
        host, bound = service_fqdn(self.service, namespace), self.good.milliseconds
        question = Requests(host=host) if bound is None else Durations(host=host)
        return by_status(evidence.counted(question, self.counting(evidence, window)))

    def counting(self, evidence: Evidence, window: Window) -> Window:
        """Histograms trail their counters."""
        late = 0.0 if self.good.milliseconds is None else evidence.histogram_lag
        return Window(window.start + late, window.end)

    def _is_good(self, one: Counter) -> bool:
        """By status; a gRPC answer with an error is HTTP 200 and still not good."""
        code = one.labels.get("response_code", "0")
        if one.labels.get("grpc_response_status", "") not in ("", "0"):
            return False
        return self.good.status_is_good(int(code) if code.isdigit() else 0)


def by_status(counted: Iterable[tuple[Counter, Count]]) -> Mapping[str, int]:
    """The events of series by their status."""
    found: dict[str, int] = {}
    for one, every in counted:
        if every.events:
            found[status_of(one.labels)] = found.get(status_of(one.labels), 0) + every.events
    return found
