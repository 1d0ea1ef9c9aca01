"""What could the fault reach? Its callers feel it, and so does whoever calls these, by the calls that were counted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind
from chaos.istio.hosts import host_of, short
from chaos.judge.calls import Calls, hosts_asked
from chaos.judge.cascade import changed_edges
from chaos.judge.facts import Facts
from chaos.judge.proof import felt, is_declared
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode


def out_of_reach(facts: Facts, now: float) -> Iterator[Reason]:
    """That nothing of what is expected could feel the fault, so that all of it would hold without any resilience."""
    missed = unreached(facts, now)
    if missed and len(missed) == len(facts.experiment.steady_state):
        namespace = facts.namespace
        targets = ", ".join(short(one.host, namespace) for one in facts.plan.injections)
        callers = ", ".join(sorted(one.removeprefix(f"{namespace}/") for one in _felt(facts)))
        yield Reason(
            code=ReasonCode.OUT_OF_REACH,
            message=f"nothing that was expected could break during the fault: it hit requests of {callers} to {targets}, and as far as the counted requests "
            f"tell, what is expected of {'; of '.join(_about(facts, one) for one in missed)} needs none of these",
            hint=f"expect something of {callers}, of a service that calls it, or of the answers to the load (from: client). If you want to show that "
            "other services do not feel the fault, declare them as unaffected",
        )


def not_reached(facts: Facts, now: float) -> Iterator[str]:
    """Expectations which the fault could not break, each in a sentence."""
    for one in unreached(facts, now):
        yield (
            f"the fault could not break what is expected of {_about(facts, one)}: as far as the counted requests show, it needs none of those that "
            "were hit; if that is what you want to show, declare the service as unaffected"
        )


def unreached(facts: Facts, now: float) -> Sequence[Kind]:
    """The expectations that it could not reach; none where too little is known of who calls whom."""
    reach = Reach.of(facts, now)
    return [one for one in facts.experiment.steady_state if not reach.may_break(one)] if reach is not None else []


@dataclass(frozen=True)
class Reach:
    """What a fault reached.

    Args:
        feeling: The callers that felt it, those that call them, and so on.
        hit: At each target, the callers that felt it.
        changed: Services whose requests were not as before, whatever made them change.
    """

    facts: Facts
    calls: Calls
    feeling: Collection[str]
    hit: Collection[str]
    changed: Collection[str]

    @classmethod
    def of(cls, facts: Facts, now: float) -> Reach | None:
        """That of a run up to now; ``None`` where too little is known of who calls whom."""
        start, hit = facts.marks.get(Mark.LOAD_STARTED), _felt(facts)
        end = facts.marks.get(Mark.RESTORE_SENT, now)
        calls = Calls.of(facts, Window(start, end)) if start is not None and hit else None
        if calls is None:
            return None
        namespace = facts.namespace
        changed = {host_of(one.service, namespace) for one in changed_edges(facts, now)}
        return cls(facts, calls, calls.upstream(hit), hit, changed)

    def may_break(self, one: Kind) -> bool:
        """Whether an expectation may be broken; so may what is said of no service, or of one of which nothing is known."""
        hosts = self._hosts(one)
        return one.expects_no_reach or not hosts or any(self._feels(one, host) for host in hosts)

    def needed_by(self, one: Kind) -> Collection[str]:
        """The callers among those that were hit without which what it counts can't be answered, or may not be."""
        hosts = self._hosts(one)
        if not hosts or any(host in self._targets or not self.calls.answering(host) for host in hosts):
            return self.hit
        ways = {caller: self.calls.upstream({caller}) for caller in self.hit}
        return {
            caller
            for caller, way in ways.items()
            if any(self.calls.meet(self.calls.answering(one), way) for one in hosts)
        }

    def _hosts(self, one: Kind) -> Collection[str]:
        return hosts_asked(self.facts, one.hosts(self.facts.namespace))

    @property
    def _targets(self) -> Collection[str]:
        return hosts_asked(self.facts, (found.host for found in self.facts.plan.injections))

    def _feels(self, one: Kind, host: str) -> bool:
        answering = self.calls.answering(host)
        if host in self._targets and not one.counts_what_arrived:
            whose = one.whose(self.facts.namespace)
            return whose is None or whose in self.hit
        if not answering or host in self.changed or self.calls.meet(answering, self.feeling):
            return True
        return one.asks_how_many and bool(self.calls.to[host].keys() & set(self.feeling))


def _felt(facts: Facts) -> Collection[str]:
    """The declared callers that felt a fault, as ``namespace/workload``."""
    window, injections = facts.injected(float("inf")), facts.plan.injections
    who = [(one, caller) for one in injections for caller in felt(facts, one, window)] if window is not None else []
    return {caller for one, caller in who if is_declared(one, caller)}


def _about(facts: Facts, one: Kind) -> str:
    """What an expectation is about: ``order-svc ('orders are answered')``."""
    namespace = facts.namespace
    return f"{', '.join(short(host, namespace) for host in one.hosts(namespace))} ({one.title!r})"
