"""A share of good events as the load generator counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.share import FROM, ShareOfGood
from chaos.values.answers import Tally
from chaos.values.declared import Placed
from chaos.values.load import LoadSecond
from chaos.values.questions import Question

if TYPE_CHECKING:
    from chaos.expectations.good import Good


class ClientExpectation(ShareOfGood):
    """A share of good answers to the load, counted by its generator from the intended start of each request (``from: client``).

        >>> ClientExpectation("customers wait at most 300 ms", within="300ms", at_least="99%").good.milliseconds
        300.0

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

    model_config = ConfigDict(json_schema_extra={"required": ["title", "from", "good", "atLeast"]})

    source: Literal["client"] = Field("client", alias="from", description=FROM)
    service: Placed | None = Field(None, description="for people only: every request of the load is counted")
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

    def names_of_load(self) -> Iterator[str]:
        """The declared one."""
        if self.request is not None:
            yield self.request

    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        """Good and all answers of the seconds wholly inside a window."""
        del namespace
        good, total = evidence.load.total(self, self._counted, window.start, window.end)
        return Tally(good=good, total=total)

    def _counted(self, second: LoadSecond) -> tuple[int, int]:
        within = self.good.milliseconds
        good = total = 0
        for cell in second.cells:
            if self.request is None or cell.request == self.request:
                total += cell.count
                if self.good.status_is_good(cell.status):
                    good += sum(n for took, n in cell.latencies.items() if within is None or took <= within)
        return good, total
