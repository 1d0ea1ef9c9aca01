"""Requests of other clients than the load, where an expectation takes everybody's for the load's: their coming and going is not the system's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind
from chaos.judge.alpha import longest_delay
from chaos.judge.calls import Calls, asked_of_calls, hosts_asked
from chaos.judge.facts import Facts
from chaos.judge.ours import listened, rates_of_others
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode, RemovalResult
from chaos.values.quantities import format_number

NOTICED: Final = 0.05
"""Share of a service's requests from which those of others are no trifle, where rates are compared."""
_SURE: Final = 3.0
"""Standard deviations of a count."""
_FEWER: Final = (
    "count only the requests of a workload that calls the service for the load and not for them (caller)",
    "count the attempts for each request that a service gets, whoever sent it (per)",
)
"""What makes an expectation independent of others, with its key: for rates, and for attempts."""


def others_before(facts: Facts) -> Iterator[Reason]:
    """Expectations that count requests which others surely sent already before the load began."""
    for one in facts.experiment.steady_state:
        if not one.counts_everybody:
            continue
        others, every = rates_of_others(facts, one)
        if others > NOTICED * every:
            yield _reason(
                one,
                f"before the load began, they already sent at least {format_number(others, 2)} requests per second (with the load, there were {format_number(every, 2)}). If that number "
                "changes, nobody can know whether the clients or the system changed",
            )


def others_since(facts: Facts, now: float, removed: RemovalResult | None) -> Mapping[str, Reason]:
    """Expectations, by their titles, for which others began to send requests, or sent more, after the baseline.

    Others are known as workloads that nobody is seen to call: those that sent hardly anything in the baseline or that called already before the
    load began; and those of other namespaces, as a gateway is, if they send more for each request of the load.
    """
    restored, found = facts.marks.get(Mark.RESTORED), dict[str, Reason]()
    gone = restored + (removed.seconds or 0.0) if restored is not None and removed is not None else None
    for one in facts.experiment.every:
        for when, window in _times(facts, one, now, gone) if one.counts_everybody else ():
            if one.title not in found and (more := _more(facts, one, window)):
                names = ", ".join(sorted(more))
                found[one.title] = _reason(
                    one,
                    f"{when}, {names} surely sent {format_number(sum(more.values()) / (window.end - window.start), 2)} requests per second more than in the baseline, which "
                    "the load does not explain. So nobody can know whether these clients or the system changed what is counted",
                )
    return found


def _reason(one: Kind, told: str) -> Reason:
    return Reason(
        code=ReasonCode.OTHERS_CALL,
        message=f"{one.title!r} also counts requests of other clients than the load: {told}",
        hint=f"run while the other clients are quiet, or {_FEWER['per' in type(one).model_fields]}",
    )


def _times(facts: Facts, one: Kind, now: float, gone: float | None) -> Iterator[tuple[str, Window]]:
    """When it compares with the baseline; the requests that were under way meanwhile have ended."""
    late, marks = longest_delay(facts.experiment), facts.marks
    ends = [
        ("during the fault", marks.get(Mark.FAULT_FROM), marks.get(Mark.RESTORE_SENT, now)),
        ("after the fault", gone, marks.get(Mark.LOAD_STOPPED, now)),
    ]
    if not one.parts("fault"):
        ends = ends[1:]  # it expects nothing during the fault
    for when, start, end in ends:
        if start is not None:
            since = start + late + facts.evidence.load.longest_wait(start, end, rest=0.0)
            if since < end:
                yield when, Window(since, end)


def _more(facts: Facts, one: Kind, window: Window) -> Mapping[str, float]:
    """How many requests others sent more than in the baseline, by workload, if together they matter."""
    found = _Counts.of(facts, window)
    if found is None:
        return {}
    leading, senders = _ways_to(facts, found.whole, one)
    total = sum(found.since.sent(who, leading) for who in senders)
    more = {who: many for who in senders if (many := found.beyond(who, leading, total)) > 0}
    return more if sum(more.values()) > NOTICED * total else {}


def _ways_to(facts: Facts, calls: Calls, one: Kind) -> tuple[Collection[str], Collection[str]]:
    """The hosts by which requests that an expectation counts come about, and the workloads with which they begin."""
    namespace = facts.namespace
    hosts = hosts_asked(facts, one.hosts(namespace))
    callers = {caller for host in hosts for caller in calls.to.get(host, ())}
    if (whose := one.whose(namespace)) is not None:
        callers &= {whose}
    upstream = calls.upstream(callers)
    leading = {host for host in calls.to if calls.meet(calls.answering(host), upstream)}
    return {*hosts, *leading}, set(calls.roots) & set(upstream)


@dataclass(frozen=True)
class _Counts:
    """What was counted in the baseline and since, and who called before the load began.

    Args:
        times: How many times as many requests of the load there were.
        rest: The part of a count that may come from the moments of the scrapes.
    """

    whole: Calls
    heard: Calls | None
    before: Calls
    since: Calls
    times: float
    rest: float

    @classmethod
    def of(cls, facts: Facts, window: Window) -> _Counts | None:
        evidence, start, heard = facts.evidence, facts.marks.get(Mark.LOAD_STARTED), listened(facts)
        asked = asked_of_calls(facts)
        known = [one and evidence.scraped(asked, one) for one in (facts.baseline, window)]
        if start is None or known[0] is None or known[1] is None:
            return None
        sent = [sum(second.sent for second in evidence.load.between(one.start, one.end)) for one in known if one]
        whole = Calls.of(facts, Window(start, window.end))
        before, since = Calls.of(facts, known[0]), Calls.of(facts, known[1])
        if whole is None or before is None or since is None or not all(sent):
            return None
        rest = facts.environment.scrape_interval / (known[1].end - known[1].start)
        return cls(whole, Calls.of(facts, heard) if heard else None, before, since, sent[1] / sent[0], rest)

    def beyond(self, who: str, leading: Collection[str], total: int) -> float:
        """Requests that somebody surely sent beyond what the load explains; none of who may only pass the load's on."""
        then, now = self.before.sent(who, leading) * self.times, self.since.sent(who, leading)
        known = self.heard is not None and self.heard.sent(who) > 0
        if not known and not self.whole.is_elsewhere(who) and then > NOTICED * total:
            return 0.0
        every = self.since.sent(who) - self.times * self.before.sent(who)
        noise = _SURE * sqrt(now + self.times * then) + self.rest * then
        return max(0.0, min(now - then, every) - noise)
