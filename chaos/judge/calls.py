"""Who calls whom, by the requests that the callers' proxies counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Self

from chaos.expectations import counting
from chaos.expectations.evidence import Window
from chaos.istio.metrics import caller_of, server_of
from chaos.judge.facts import Facts
from chaos.judge.questions import edges_of, needed, watched
from chaos.values.questions import Edges, Requests, Side


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
    """The calls of a window: how many each workload sent to each host, and which workloads answered there.

    Workloads are told as ``namespace/workload``. Whom those of other namespaces than the recorded ones call is not known,
    so it may be each other.
    """

    def __init__(self, recorded: Collection[str] = ()) -> None:
        self.to: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By host: the workloads that called it, with their requests."""
        self._answering: defaultdict[str, set[str]] = defaultdict(set)
        self._recorded = recorded

    @classmethod
    def of(cls, facts: Facts, window: Window) -> Self | None:
        """The calls of a window; ``None`` if they were not asked for, or if nothing shows which workloads answer."""
        plan = facts.plan
        found, asked = cls(watched(plan)), asked_of_calls(facts)
        if not all(map(facts.evidence.knows, edges_of(plan))):
            return None
        for one, events in counted_once(facts, asked, window):
            host = one.labels.get("destination_service", "")
            if events:
                found.to[host][caller_of(one.labels)] += events
                if (server := server_of(one.labels)) is not None:
                    found._answering[host].add(server)
        return found if found._answering else None

    def sent(self, caller: str, hosts: Collection[str] | None = None) -> int:
        """Requests of a workload, to some hosts or to all."""
        return sum(callers[caller] for host, callers in self.to.items() if hosts is None or host in hosts)

    def answering(self, host: str) -> Collection[str]:
        """The workloads that answer at a host; none where that is not known."""
        return self._answering.get(host, ())

    def upstream(self, of: Iterable[str]) -> Collection[str]:
        """These workloads, those that call them, and so on."""
        found = set(of)
        while (
            more := {
                caller
                for host, callers in self.to.items()
                if self.meet(self.answering(host), found)
                for caller in callers
            }
            - found
        ):
            found |= more
        return found

    def meet(self, some: Collection[str], others: Collection[str]) -> bool:
        """Whether any of some workloads is, or may call, one of the others."""
        return any(one in others for one in some) or (
            any(map(self.is_elsewhere, some)) and any(map(self.is_elsewhere, others))
        )

    @property
    def roots(self) -> Collection[str]:
        """The workloads that nobody is seen to call."""
        called = {one for host in self.to for one in self.answering(host)}
        return {caller for callers in self.to.values() for caller in callers} - called

    def is_elsewhere(self, workload: str) -> bool:
        """Whether it is of another namespace than the recorded ones."""
        return workload.partition("/")[0] not in self._recorded


def asked_of_calls(facts: Facts) -> list[Edges | Requests]:
    """The questions that tell who calls whom."""
    counted = (one for one in needed(facts.plan) if isinstance(one, Requests) and one.side is Side.CALLERS)
    return [*edges_of(facts.plan), *counted]


def hosts_asked(facts: Facts, hosts: Iterable[str]) -> Collection[str]:
    """Hosts, with all to which routes send requests for them."""
    return {found for host in hosts for found in facts.evidence.destinations(host)}
