"""A share of good events as the load generator counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from chaos.expectations.dependence import BATCH
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.share import FROM, ShareOfGood
from chaos.values.answers import Tally
from chaos.values.conditions import inside, none_of
from chaos.values.content import Marker
from chaos.values.declared import Placed
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Question

FAILURE: Final = " with failure()"
"""What is added to the status of an answer that the locustfile took for a failure."""


class ClientExpectation(ShareOfGood):
    """A share of good answers to the load, counted by its generator from the intended start of each request (``from: client``).

    What the generator itself was late with is no latency of the system, so it is taken off.

        >>> ClientExpectation("customers wait at most 300 ms", within="300ms", at_least="99%").good.milliseconds
        300.0

    What a locustfile says of an answer counts: one for which it called ``failure()`` is never good; one for which it called
    ``success()`` is good whatever its status, unless ``status`` is declared.

    It alone knows the content of answers, such as whose data they hold:

        >>> mine = Good(status="2xx", json_path={"order.id": "42"})
        >>> str(ClientExpectation("everybody gets their own order", request="GET /orders/42", good=mine, at_least="99%").good)
        'with status 2xx and with JSON order.id = "42"'

    Args:
        title: What is expected, in words.
        request: Only the load's requests of this name; by default all.
        good: Which answers are good; or, instead of it, ``status`` and ``within``.
        status: ``"<500"``, ``"2xx"``, ``"200"``; no answer is never good.
        within: Answered within this time, in whole milliseconds.
        at_least: Least share before and after the fault, such as ``"99%"`` or 0.99.
        during_fault: Least share during the fault; ``"baseline - 0.5%"`` is relative to the observed baseline.

    Raises:
        InputError: a value is not of its form.
    """

    counted_by_load: ClassVar[bool] = True

    model_config = ConfigDict(
        json_schema_extra={"required": ["title", "from", "good", "atLeast"], **inside("good", none_of("grpc"))}
    )
    broken_by_errors: ClassVar[bool] = True

    source: Literal["client"] = Field("client", alias="from", description=FROM)
    service: Placed | None = Field(None, description="for readers only: every request of the load is counted")
    request: str | None = Field(None, description="only the load's requests of this name")

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            at_least: float | str,
            request: str | None = None,
            good: Good | None = None,
            status: str | None = None,
            within: timedelta | str | None = None,
            during_fault: float | str | None = None,
        ) -> None: ...

    @classmethod
    def recognises(cls, declared: Mapping[str, Any]) -> bool:
        """By ``from: client``."""
        return bool(declared.get("from", "mesh") != "mesh")

    @model_validator(mode="after")
    def _countable(self) -> Self:
        if self.good.grpc is not None:
            raise ValueError("good.grpc: expected status, since the load speaks HTTP; the mesh counts gRPC statuses")
        return self

    def questions(self, namespace: str) -> Iterator[Question]:
        """None: the load generator's seconds are recorded anyway."""
        del namespace
        yield from ()

    def markers(self) -> Iterator[Marker]:
        """Those of good answers."""
        yield from self.good.markers

    @property
    def endures(self) -> float:
        """The time within which answers are good; a status says nothing of times."""
        return self.good.seconds

    def effect(self, evidence: Evidence, tally: Tally, window: Window, namespace: str) -> float:
        """By batches as short as they may be: the load generator tells every second."""
        return evidence.effect(
            lambda part: self.tally(evidence, part, namespace), tally, window, BATCH, key=self, of_load="alone"
        )

    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        """Good and all answers of the seconds wholly inside a window."""
        del namespace
        good, total = evidence.load.total(self, self._counted, window.start, window.end)
        fine, _ = evidence.load.total((self, "at best"), self._counted_at_best, window.start, window.end)
        return Tally(good=good, total=total, doubtful=fine - good)

    @property
    def events(self) -> str:
        """The load's requests, or those of one name."""
        return "requests of the load" if self.request is None else f"requests {self.request} of the load"

    def statuses(self, evidence: Evidence, window: Window, namespace: str) -> Mapping[str, int]:
        """By the answers' status; ``none`` where there was no answer."""
        del namespace
        found = Counter[str]()
        for second in evidence.load.between(window.start, window.end):
            for cell in self._mine(second):
                status = str(cell.status) if cell.status else "none"
                status += FAILURE if cell.judged is False else ""
                found[status] += cell.count
        return found

    def _counted(self, second: LoadSecond) -> tuple[int, int]:
        """Good and all answers; one that the generator may have read late is no good one."""
        return self._good(second, lambda cell: cell.lag), sum(cell.count for cell in self._mine(second))

    def _counted_at_best(self, second: LoadSecond) -> tuple[int, int]:
        """Good answers, if those that the generator may have read late were all read late."""
        return self._good(second, lambda cell: cell.lag + cell.held), 0

    def _good(self, second: LoadSecond, late: Callable[[LoadCell], float]) -> int:
        within = self.good.milliseconds
        wanted = {str(marker) for marker in self.good.markers}
        return sum(
            count
            for cell in self._mine(second)
            if self._is_good(cell) and wanted <= set(cell.matched)
            for took, count in cell.latencies.items()
            if within is None or took - late(cell) <= within
        )

    def _is_good(self, cell: LoadCell) -> bool:
        if cell.judged is None or self.good.status is not None:
            return cell.judged is not False and self.good.status_is_good(cell.status)
        return cell.judged

    def _mine(self, second: LoadSecond) -> Iterator[LoadCell]:
        return (cell for cell in second.cells if self.request is None or cell.request == self.request)
