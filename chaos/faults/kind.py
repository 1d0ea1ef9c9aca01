"""What a kind of fault is: what users declare of it, and all that the rest of the harness asks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from chaos.istio.metrics import flags_of
from chaos.values.declared import Declared
from chaos.values.quantities import Percentage
from chaos.values.remarks import Refusal

Route = Mapping[str, Any]
"""A route of a VirtualService, ``http[]``."""


class Kind(Declared, ABC):
    """One kind of fault. It changes a copy of a route; ``chaos.injection`` decides which, and drops the copy again."""

    key: ClassVar[str]
    """Its name: the key in an experiment file, and the word in reports."""
    done: ClassVar[str]
    """What it has done to requests, as the legend of a picture says it: ``aborted``."""
    colour: ClassVar[str]
    """Its line in pictures."""
    flag: ClassVar[str] = ""
    """Envoy's response flag that tells it, whoever injected it; empty where only what is declared can tell it."""
    answers: ClassVar[bool]
    """Whether the caller's proxy answers in place of the target. If not, a request is counted when the target has answered."""
    unseen_by: ClassVar[frozenset[str]] = frozenset()
    """Policies of the faulted hop that never see it, by their names in Istio's resources."""
    held_by: ClassVar[str] = ""
    """The field that says how long it holds a request back, by its name in an experiment file."""

    percentage: Percentage = Field(description="percent of the matching requests, over 0 to 100")

    @abstractmethod
    def put_into(self, route: Route) -> dict[str, Any]:
        """The route with this fault in it. The route that is given forwards requests, and is not changed."""

    @classmethod
    @abstractmethod
    def taken_from(cls, route: Route) -> dict[str, Any]:
        """A route without any fault of this kind, whatever was declared.

        A restore deletes the run's copies; but if somebody removed every other route, one of the copies has to stay.
        """

    def felt(self, labels: Mapping[str, str]) -> bool:
        """Whether the requests that a series counts felt this fault, by the labels of ``istio_requests_total``."""
        return self.flag in flags_of(labels)

    def drawn(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - for those that are not drawn for every request
        """Whether it was drawn for these requests at all, so that they count in its share."""
        return True

    @property
    def held(self) -> timedelta:
        """How long it holds a request back, by which its count comes later than those of others."""
        return timedelta(0)

    def unfit_for(self, protocols: Collection[str | None], service: str) -> Refusal | None:  # noqa: ARG002 - for those that are
        """Why it can't be shown at a service whose ports speak these protocols; ``None`` where it can."""
        return None

    @abstractmethod
    def __str__(self) -> str:
        """What it does, for people: ``abort of 50% with 503``."""


class FilterKind(Kind):
    """A kind of Istio's HTTPFaultInjection (``http[].fault``), made by Envoy's fault filter before the router.

    So the policies by which the router sends requests never see it (Envoy ``fault_filter.cc``).
    """

    unseen_by = frozenset({"timeout", "retries", "outlierDetection", "connectionPool"})
    effects: ClassVar[tuple[str, ...]]
    """Istio's fields of which one says what it does, below its own."""
    percentages: ClassVar[tuple[str, ...]]
    """Where Istio takes its percentage from, below ``http[].fault``: also fields that are out of use and still work."""

    @abstractmethod
    def written(self) -> dict[str, Any]:
        """Its part of HTTPFaultInjection. The percentage is always written: without one, nothing is injected."""

    def put_into(self, route: Route) -> dict[str, Any]:
        """The route with it beside others of its sort."""
        return {**route, "fault": {**(route.get("fault") or {}), self.key: self.written()}}

    @classmethod
    def taken_from(cls, route: Route) -> dict[str, Any]:
        """The route without a fault."""
        return {key: value for key, value in route.items() if key != "fault"}
