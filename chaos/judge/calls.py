"""Who calls whom, by the requests that the callers' proxies counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final, Self

from chaos.expectations import counting
from chaos.expectations.evidence import Window
from chaos.istio.hosts import service_of
from chaos.istio.metrics import caller_of, server_of
from chaos.judge.facts import Facts
from chaos.judge.questions import edges_of, needed, watched
from chaos.values.questions import Edges, Requests, Side

_ELSEWHERE: Final = "elsewhere"
"""All workloads of namespaces whose requests are not asked for: whom they call is not known, so it may be each other."""


def counted_once(
    facts: Facts, questions: Iterable[Edges | Requests], window: Window
) -> Iterator[tuple[counting.Counter, int]]:
    """The events of each series of several questions, which may have the same ones."""
    seen = set[frozenset[tuple[str, str]]]()
    for question in questions:
        for one, found in facts.evidence.counted(question, window):
            key = frozenset(one.labels.items())
            if key not in seen:
                yield one, found.events
            seen.add(key)


class Calls:
    """The calls of a window: how many each workload sent to each host, and which workloads answer there."""

    def __init__(self) -> None:
        self.to: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By host: the workloads that call it, with their requests."""
        self._answering: defaultdict[str, set[str]] = defaultdict(set)

    @classmethod
    def of(cls, facts: Facts, window: Window) -> Self | None:
        """Those of a window; ``None`` where it was not asked, or where nothing tells which workloads answer."""
        found, plan = cls(), facts.plan
        asked: list[Edges | Requests] = [*edges_of(plan)]
        if not all(map(facts.evidence.knows, asked)):
            return None
        asked += [one for one in needed(plan) if isinstance(one, Requests) and one.side is Side.CALLERS]
        known = watched(plan)
        for one, events in counted_once(facts, asked, window):
            host = one.labels.get("destination_service", "")
            if events:
                found.to[host][_workload(caller_of(one.labels), known)] += events
                if (server := server_of(one.labels)) is not None:
                    found._answering[host].add(_workload(server, known))
        return found if found._answering else None

    def answering(self, host: str) -> Collection[str]:
        """The workloads that answer at a host; none where that is not known."""
        return self._answering.get(host, ())

    def upstream(self, of: Iterable[str]) -> Collection[str]:
        """These workloads, those that call them, and so on."""
        found = set(of)
        while (
            more := {
                caller for host, callers in self.to.items() if found & set(self.answering(host)) for caller in callers
            }
            - found
        ):
            found |= more
        return found

    @property
    def roots(self) -> Collection[str]:
        """The workloads that nobody is seen to call."""
        called = {one for host in self.to for one in self.answering(host)}
        return {caller for callers in self.to.values() for caller in callers} - called


def _workload(name: str, known: Collection[str]) -> str:
    """A workload by its name, as ``namespace/workload``."""
    return name if name.partition("/")[0] in known else _ELSEWHERE


def hosts_asked(facts: Facts, hosts: Iterable[str]) -> Collection[str]:
    """Hosts, with all to which routes send requests for them."""
    return {found for host in hosts for found in facts.evidence.destinations(host) if service_of(found) is not None}
