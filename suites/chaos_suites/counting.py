"""What the mesh itself counts of one hop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from chaos import Harness
from chaos.expectations.evidence import Evidence
from chaos.istio.hosts import host_of
from chaos.ports import Metrics
from chaos.values.questions import Requests, Side
from chaos_suites.tables import Hop

_WINDOW: Final = 300.0
"""Seconds within which a proxy's counter was scraped, if the proxy still runs."""
_SCRAPES: Final = 4
_FLUSH: Final = 5.0
"""A finished request is in the metrics after so many scrapes, and seconds for what lies between, at the latest."""


_NAMES: Final = ("source_workload", "source_app", "source_canonical_service")
"""Labels by which a caller may be named: its workload, or the label ``app`` of its pods."""
Counts = Counter[tuple[str, ...]]


def so_far(metrics: Metrics, seen: Evidence, question: Requests, caller: str, labels: Sequence[str]) -> Counts:
    """Requests of one caller since its proxies began, by the values of some labels.

    Args:
        metrics: What is asked.
        seen: What was answered until now, of which a proxy that is scraped or stored twice counts once.
        question: Whose requests.
        caller: Of whom.
        labels: What distinguishes them.
    """
    seen.add(question, metrics.samples(question, seconds=_WINDOW))
    found = Counts()
    for counter in seen.counters(question):
        if counter.values and caller in map(counter.labels.get, _NAMES):
            found[tuple(counter.labels.get(one, "unknown") for one in labels)] += round(counter.values[-1])
    return found


def counted(
    harness: Harness,
    namespace: str,
    caller: str,
    service: str,
    send: Callable[[], int],
    *,
    labels: Sequence[str],
    side: Side = Side.CALLERS,
) -> Counts:
    """The counts by labels, in the mesh's own metrics, of the requests that ``send`` sends; ``send`` returns their number.

    Fails the test as inconclusive if the mesh counts fewer or more: then they did not all take this hop, or others called.
    """

    question = Requests(host=host_of(service, namespace), side=side)
    evidence = Evidence(scrape_interval=harness.place.environment.scrape_interval, histogram_lag=0)

    def now() -> Counts:
        return so_far(harness.place.metrics, evidence, question, caller, labels)

    before = _settled(harness, now)
    sent = send()
    wait = _FLUSH + _SCRAPES * harness.place.environment.scrape_interval
    deadline = time.monotonic() + wait
    while (now() - before).total() < sent and time.monotonic() < deadline:
        time.sleep(0.2)
    found = _settled(harness, now) - before
    if found.total() != sent:
        why = (
            f"others called {service} meanwhile: run the suite while nobody else does"
            if found.total() > sent
            else f"not every request led from {caller} to {service}, or the proxy isn't scraped: check caller, service and path"
        )
        pytest.fail(
            f"inconclusive: {sent} requests were sent, and {found.total()} from {caller} to {service} counted; {why}",
            pytrace=False,
        )
    return found


def versions(harness: Harness, namespace: str, hop: Hop, send: Callable[[], int]) -> Counter[str]:
    """How many of the requests that ``send`` sends were answered by which version of a hop's service."""
    found = counted(harness, namespace, hop.caller, hop.service, send, labels=["destination_version"])
    return Counter({version: number for (version,), number in found.items()})


def _settled(harness: Harness, now: Callable[[], Counts]) -> Counts:
    """The counts once two scrape intervals changed nothing, since a scrape may be late; or after some: then somebody else calls."""
    seen = now()
    for _ in range(_SCRAPES):
        time.sleep(2.1 * harness.place.environment.scrape_interval)
        seen, last = now(), seen
        if seen == last:
            break
    return seen
