"""Which of the usual errors do requests meet now? 503, 403, 404 and 10 ms more, by what callers' proxies counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, warning
from chaos.errors import MetricsError
from chaos.istio.hosts import short
from chaos.istio.metrics import INJECTED
from chaos.values.questions import Durations, Question, Requests, Side

_SECONDS: Final = 300.0
_SOME: Final = 5
"""Errors that are no mere accident."""
_SHARE: Final = 0.01
_ENOUGH: Final = 50
"""Answers by whose times something can be said."""
_USUAL: Final = {
    ("503", "UH"): (
        "no replica is healthy, or a subset has no pod",
        "kubectl get pods; compare the subset's labels with the pods'",
    ),
    ("503", "UF"): (
        "no connection: the port, a NetworkPolicy, or mutual TLS that only one side speaks",
        "compare PeerAuthentication and the DestinationRule's tls; kubectl get endpoints",
    ),
    ("503", "UO"): ("the connection pool is full", "raise connectionPool of the DestinationRule, or add replicas"),
    ("503", "NC"): (
        "a route leads to a subset that no DestinationRule defines",
        "define it; apply the DestinationRule first",
    ),
    ("503", "UC"): (
        "the service ended connections that were in use",
        "raise the service's keep-alive time above the proxy's",
    ),
    ("404", "NR"): ("no route: hosts of VirtualService and Gateway do not agree", "make the hosts of both agree"),
}
_BY_STATUS: Final = {
    "403": (
        "an AuthorizationPolicy denies it",
        "compare the caller's identity with the rules: istioctl x authz check POD",
    ),
    "404": (
        "no route, or the service does not know the path",
        "make the hosts of VirtualService and Gateway agree; look at the path",
    ),
    "503": ("the service is not there, or says so itself", "kubectl get pods; kubectl logs"),
}


def usual_errors(examined: Examined) -> Iterator[Finding]:
    """Statuses that say what is wrong."""
    well = 0
    try:
        for host in examined.services:
            counted = _counted(examined, Requests(host=host))
            total = sum(counted.values())
            told = list(_told(short(host, ""), counted, total))
            yield from told
            well += total if not told else 0
    except MetricsError:
        return  # another check tells
    if well:
        yield ok(f"{well:.0f} requests of the last five minutes show none of the usual errors")


def _told(service: str, counted: Counter[tuple[str, str]], total: float) -> Iterator[Finding]:
    for (status, flags), number in sorted(counted.items()):
        if number < _SOME or number < _SHARE * total or set(flags.split(",")) & INJECTED:
            continue
        known = next(
            (_USUAL[status, flag] for flag in flags.split(",") if (status, flag) in _USUAL), _BY_STATUS.get(status)
        )
        if known is not None:
            flagged = f" (flag {flags})" if flags not in ("", "-") else ""
            told = warning if status == "404" and flags in ("", "-") else error  # an API may well answer so
            yield told(
                f"{number:.0f} of {total:.0f} requests to {service} in the last five minutes were answered with {status}{flagged}",
                cause=known[0],
                hint=known[1],
            )


def proxies_are_quick(examined: Examined) -> Iterator[Finding]:
    """Callers wait hardly longer than the service takes."""
    try:
        for host in examined.services:
            shares = {side: _within(examined, host, side) for side in Side}
            called, callers = shares[Side.CALLED], shares[Side.CALLERS]
            if called is not None and callers is not None and called - callers > 0.5:
                yield warning(
                    f"{short(host, '')} answers {called:.0%} of its requests within 10 ms, and its callers see {callers:.0%}: the way between "
                    "them takes 10 ms and more",
                    cause="proxies that are short of CPU, or whose configuration is too large",
                    hint="raise the CPU limit of the sidecars (sidecar.istio.io/proxyCPULimit), and narrow what they know by a Sidecar",
                )
    except MetricsError:
        return


def _within(examined: Examined, host: str, side: Side) -> float | None:
    """The share of answers within 10 ms; ``None`` where too few are counted."""
    all_, quick = (
        sum(_counted(examined, Durations(host=host, within=bound, side=side)).values()) for bound in (None, 10.0)
    )
    return quick / all_ if all_ >= _ENOUGH else None


def _counted(examined: Examined, question: Question) -> Counter[tuple[str, str]]:
    """How much the counters grew, by status and flags."""
    found: Counter[tuple[str, str]] = Counter()
    for series in examined.metrics.samples(question, seconds=_SECONDS):
        first, last = series.samples[0][1], series.samples[-1][1]
        labels = series.labels
        key = (labels.get("response_code", ""), labels.get("response_flags", ""))
        found[key] += round(last - first if last >= first else last)
    return found
