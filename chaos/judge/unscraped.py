"""Does Prometheus scrape all proxies that should count? What one of several counts looks whole, and is not.

Two others know how many requests there were: the proxies of the service that got them, and the load generator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from chaos.expectations import counting
from chaos.expectations.evidence import Window
from chaos.expectations.good import is_success
from chaos.istio.hosts import service_of
from chaos.istio.metrics import caller_of, flags_of, status_of
from chaos.judge.facts import Facts
from chaos.judge.questions import both_sides
from chaos.model.history import Mark
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.questions import Edges, End, Requests

_MISSED: Final = 0.02
"""Share of the requests that may be missing."""
_UNSURE: Final = 0.1
"""The same, where not all requests need have been counted: a proxy started again, or some of the load leads elsewhere."""
_FEW: Final = 20
"""Requests by which two counts may always differ, since they were under way between two proxies."""
_NAMELESS: Final = "/unknown"
"""The end of a caller without a proxy, which nobody misses."""
_LEAST: Final = 4
"""Scrape intervals without which counts are not compared."""
_HINT: Final = (
    "see on Prometheus' page of targets that it scrapes each proxy of {whose} (port 15020 or 15090 of each pod, with the gateway's), "
    "and that no relabelling drops some of them"
)

Calls = Counter[tuple[str, str]]
"""Requests by caller and host."""


def judge_unscraped(facts: Facts) -> Iterator[Reason]:
    """Workloads whose proxies count fewer requests than others do, so that a part of these proxies is not scraped.

    A request that was answered well where it arrived, its caller's proxy has counted, whatever became of the answer on its way. What
    arrived in a window is compared with what was sent up to the next scrapes around it, so that nothing is missing for their moments alone.
    """
    pairs = [one for one in both_sides(facts.plan) if all(map(facts.evidence.knows, one))]
    by_callers, by_called = [one for one, _ in pairs], [one for _, one in pairs]
    window = _seen(facts, [*by_callers, *by_called])
    if window is None:
        return
    sent, began_again = _summed(facts.evidence.counted_around, by_callers, window, _went_on)
    arrived, _ = _summed(facts.evidence.counted, by_called, window, _succeeded)
    at = Counter[str]()
    for (_, host), there in arrived.items():
        at[host] += there
    short = [
        (caller, host)
        for (caller, host), there in arrived.items()
        if host in facts.plan.compared
        and len(facts.evidence.destinations(host)) == 1
        and not caller.endswith(_NAMELESS)
        and there - sent[caller, host] > (_UNSURE if caller in began_again else _MISSED) * at[host] + _FEW
    ]
    for caller, host in short:
        part = "only a part" if sent[caller, host] else "none"
        yield _reason(
            f"{sent[caller, host]} requests of {caller} to {host} were counted by its own proxies, and {arrived[caller, host]} were "
            f"answered well by the count of the proxies there: Prometheus scrapes {part} of its proxies",
            caller,
        )
    yield from _at_the_entry(facts, window, by_callers, {caller for caller, _ in arrived})


def _at_the_entry(
    facts: Facts, window: Window, by_callers: Sequence[Requests], seen: Collection[str]
) -> Iterator[Reason]:
    """Where the proxies at the entry count fewer requests than the load generator got answers for, some of them are not scraped.

    Where proxies of a service count what arrives there from the entry, they tell it better.
    """
    edges = [Edges(namespace=facts.namespace, end=end) for end in End]
    asked: list[Requests | Edges] = [*by_callers, *edges]
    window = Window(window.start, facts.evidence.complete_until(asked, window.end))
    if window.end - window.start < _LEAST * facts.environment.scrape_interval:
        return
    every, _ = _summed(facts.evidence.counted_around, asked, window, lambda _: True)
    called = {"/".join(found) for _, host in every if (found := service_of(host)) is not None}
    entered = {edge: number for edge, number in every.items() if edge[0] not in called}
    counted = sum(entered.values())
    got = sum(cell.count for cell in facts.evidence.load.cells(window.start, window.end) if cell.status)
    if not counted or got - counted <= _UNSURE * got + _FEW or any(caller in seen for caller, _ in entered):
        return
    names = ", ".join(sorted({caller for caller, _ in entered}))
    yield _reason(
        f"the load got {got} answers, and the proxies at the entry ({names}) counted {counted} requests to services of "
        f"{facts.namespace}. Prometheus scrapes only a part of these proxies, or the rest of the load leads elsewhere; "
        "the services' own proxies, which could tell, are not scraped",
        names,
    )


def _reason(message: str, whose: str) -> Reason:
    return Reason(code=ReasonCode.CALLER_NOT_SCRAPED, message=message, hint=_HINT.format(whose=whose))


def _seen(facts: Facts, questions: Iterable[Requests]) -> Window | None:
    """The time with load in which all proxies that count were scraped; ``None`` where it is too short to compare counts."""
    start = facts.marks.get(Mark.LOAD_STARTED)
    if start is None:
        return None
    window = facts.evidence.scraped(questions, Window(start, facts.marks.get(Mark.LOAD_STOPPED, float("inf"))))
    least = _LEAST * facts.environment.scrape_interval
    return window if window is not None and window.end - window.start >= least else None


def _went_on(labels: Mapping[str, str]) -> bool:
    """Whether these requests were not answered by an injected abort."""
    return "FI" not in flags_of(labels)


def _succeeded(labels: Mapping[str, str]) -> bool:
    return is_success(status_of(labels))


def _summed(
    counted: Callable[[Requests | Edges, Window], Iterable[tuple[counting.Counter, counting.Count]]],
    questions: Iterable[Requests | Edges],
    window: Window,
    counts: Callable[[Mapping[str, str]], bool],
) -> tuple[Calls, Collection[str]]:
    """What proxies counted of a window, by caller and host; and the callers of which one started again.

    What was sent is counted around the window, so it is at least all; what arrived, in it, so it is at most all.
    """
    found, began_again = Counter[tuple[str, str]](), set[str]()
    for question in questions:
        asked = Counter[tuple[str, str]]()
        for one, count in counted(question, window):
            if count.events and counts(one.labels):
                asked[caller_of(one.labels), one.labels.get("destination_service", "")] += count.events
            if count.lower_bound:
                began_again.add(caller_of(one.labels))
        found |= asked  # the same series may answer several questions
    return found, began_again
