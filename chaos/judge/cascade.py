"""Who else felt the fault? Every other edge of the mesh that changed during the fault; reports have these without any declaration."""

from __future__ import annotations

from typing import Final

from chaos.expectations.confidence import interval, shared
from chaos.expectations.counting import Counter
from chaos.expectations.evidence import Window
from chaos.expectations.good import Good
from chaos.istio.hosts import service_of
from chaos.istio.metrics import caller_of
from chaos.judge.calls import counted_once
from chaos.judge.facts import Facts
from chaos.model.verdict import ChangedEdge
from chaos.values.answers import Tally
from chaos.values.questions import Edges, End

_CONFIDENCE: Final = 0.99
"""Of all edges together. No verdict rests on it."""
_TIMES: Final = 1.5
"""How many times as many requests, or as few, count as a change."""
_FEW: Final = 20
"""Requests under which their number says nothing."""
_FINE: Final = Good(status="<500")

Edge = tuple[str, str]
"""Caller and service, each as ``namespace/name``."""


def changed_edges(facts: Facts, now: float) -> tuple[ChangedEdge, ...]:
    """The edges (caller and service) with another share of errors or rate of requests during the fault, except those to its target."""
    before, during = facts.baseline, facts.faulted(now)
    if before is None or during is None:
        return ()
    then, since = _Edges(facts, before), _Edges(facts, during)
    edges = sorted(then.tallies.keys() | since.tallies.keys())
    confidence = shared(_CONFIDENCE, max(1, len(edges)))
    found = (
        ChangedEdge(
            caller=_short(edge[0], facts),
            service=_short(edge[1], facts),
            before=then.tallies.get(edge, Tally()),
            during=since.tallies.get(edge, Tally()),
            seconds=(then.seconds, since.seconds),
        )
        for edge in edges
    )
    return tuple(one for one in found if _errors_changed(one, confidence) or _rate_changed(one))


class _Edges:
    """Good and all requests of each edge in a window, and from the first scrape to the last one the seconds that they took."""

    def __init__(self, facts: Facts, window: Window) -> None:
        self.tallies: dict[Edge, Tally] = {}
        self.seconds = 0.0
        targets = {host for one in facts.plan.injections for host in facts.evidence.destinations(one.host)}
        asked = (Edges(namespace=facts.namespace, end=end) for end in End)
        for one, events in counted_once(facts, asked, window):
            if one.labels.get("destination_service") not in targets:
                self._add(one, events, window)

    def _add(self, one: Counter, events: int, window: Window) -> None:
        edge = caller_of(one.labels), _service(one.labels.get("destination_service", "unknown"))
        had = self.tallies.get(edge, Tally())
        good = events if _FINE.is_met_by(one.labels) else 0
        self.tallies[edge] = Tally(good=had.good + good, total=had.total + events)
        times = one.times[one.inside(window.start, window.end)]
        self.seconds = max([self.seconds, *(times[-1:] and [times[-1] - times[0]])])


def _service(host: str) -> str:
    return "/".join(service_of(host) or (host,))


def _short(name: str, facts: Facts) -> str:
    """Without the target's namespace."""
    return name.removeprefix(f"{facts.namespace}/")


def _errors_changed(one: ChangedEdge, confidence: float) -> bool:
    before, during = (interval(tally.good, tally.total, confidence=confidence) for tally in (one.before, one.during))
    return during.high < before.low or during.low > before.high


def _rate_changed(one: ChangedEdge) -> bool:
    before, during = one.rates
    enough = min(one.seconds) > 0 and max(one.before.total, one.during.total) >= _FEW
    return enough and not before / _TIMES <= during <= before * _TIMES
