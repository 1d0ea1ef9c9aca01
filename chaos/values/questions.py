"""What may be asked of the mesh's metrics. How a back end is asked, in PromQL for instance, is for its adapter alone.

Questions are frozen, so each is its own key.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import Field

from chaos.values.frozen import Frozen


class Side(StrEnum):
    """Which proxies count."""

    CALLERS = "callers"
    """Those of the callers, and waypoints: they see injected faults, and answers that never came."""
    CALLED = "called"
    """Those of the service itself: they see callers that have no proxy."""


_COUNTING: Final = {Side.CALLERS: "its callers' proxies", Side.CALLED: "its own proxies"}


class Requests(Frozen):
    """Requests towards a host since its proxies began: a counter for each caller, status and flags."""

    kind: Literal["requests"] = "requests"
    host: str
    side: Side = Side.CALLERS

    def __str__(self) -> str:
        return f"requests to {self.host} that {_COUNTING[self.side]} count"


@lru_cache(maxsize=4096)
def requests_to(host: str, side: Side = Side.CALLERS) -> Requests:
    """The question for a host's requests, the same object each time: expectations ask for it many times at each look."""
    return Requests(host=host, side=side)


class End(StrEnum):
    """The end of an edge that is in a namespace."""

    CALLER = "caller"
    SERVICE = "service"


class Edges(Frozen):
    """All requests of, or towards, a namespace since its proxies began: a counter for each caller, service, status and flags.

    The callers' proxies count. No decision waits for it.
    """

    kind: Literal["edges"] = "edges"
    namespace: str
    end: End

    def __str__(self) -> str:
        side = "from" if self.end is End.CALLER else "to"
        return f"requests {side} {self.namespace}"


class Durations(Frozen):
    """Requests towards a host as the proxies' duration histogram counts them, at its own, later moments.

    Args:
        within: Only those that were answered within so many milliseconds, a bound of the histogram; by default all.
    """

    kind: Literal["durations"] = "durations"
    host: str
    within: float | None = None
    side: Side = Side.CALLERS

    def __str__(self) -> str:
        bound = "" if self.within is None else f" within {self.within:g} ms"
        return f"durations of requests to {self.host}{bound} that {_COUNTING[self.side]} count"


TRUE: Final = 1.0
FALSE: Final = 0.0
NO_DATA: Final = -1.0
COMPARED: Final = "compared"
"""The label of series that hold compared values, the ``least`` or the ``most`` of them at each look."""
LEAST: Final = "least"
MOST: Final = "most"


class Comparison(Frozen):
    """Whether a PromQL comparison is true, which is where its result is not empty.

    Its series without labels has a sample each time it is asked: ``TRUE``, ``FALSE``, or ``NO_DATA`` where nothing could be
    compared. Further series, with the label ``COMPARED``, may hold the values of the side that is told.
    """

    kind: Literal["comparison"] = "comparison"
    promql: str

    def __str__(self) -> str:
        return f"comparison {self.promql}"


WAITS: Final = "for"
"""The label of an alert's series that has the seconds for which its condition has to be true before it fires."""


class Alerts(Frozen):
    """Which alerts fire: one sample each time it is asked, in series by the label ``alertname``.

    That of ``name`` is 1 where it fires and 0 where it does not, with the label ``WAITS`` where that is known; it has no series if there is no such rule, or if its rule
    can't be evaluated. Other alerts have a sample, 1, only while they fire.
    """

    kind: Literal["alerts"] = "alerts"
    name: str

    def __str__(self) -> str:
        return f"alert {self.name}, and others that fire"


class Rejections(Frozen):
    """Updates that proxies rejected since istiod began: a counter for each type, in its label ``type``.

    A type that was never rejected has no series (istiod ``pilot/pkg/xds/monitoring.go``).
    """

    kind: Literal["rejections"] = "rejections"

    def __str__(self) -> str:
        return "rejected updates"


class Pushes(Frozen):
    """Configurations that istiod sent to proxies since it began: a counter for each type, of each istiod.

    One for each proxy and type counts (istiod ``pilot/pkg/xds/monitoring.go`` ``recordPushTime``).
    """

    kind: Literal["pushes"] = "pushes"

    def __str__(self) -> str:
        return "configurations that istiod sent to proxies"


class Convergence(Frozen):
    """How long it took from a change until istiod had sent all of it to a proxy: a histogram, by its bounds in seconds (``le``)."""

    kind: Literal["convergence"] = "convergence"

    def __str__(self) -> str:
        return "times until changes were sent to proxies"


class ProcessorTime(Frozen):
    """Seconds of processor time that istiod used since it began: a counter for each istiod."""

    kind: Literal["processor-time"] = "processor-time"

    def __str__(self) -> str:
        return "istiod's processor time"


class ProxyMemory(Frozen):
    """Bytes that each proxy of a namespace has allocated at a moment; this is no counter."""

    kind: Literal["proxy-memory"] = "proxy-memory"
    namespace: str

    def __str__(self) -> str:
        return f"memory of the proxies in {self.namespace}"


Standing = Alerts | Pushes | Convergence | ProcessorTime | ProxyMemory
"""What has an answer at any time, also while nobody sends requests, so that a plan can see whether it has one."""
Question = Annotated[Requests | Edges | Durations | Comparison | Rejections | Standing, Field(discriminator="kind")]
