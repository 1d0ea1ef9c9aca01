"""Can a delay show in what is expected, or is it over before anybody minds?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from math import inf
from typing import Any, Final

from chaos.istio.durations import nanoseconds
from chaos.istio.hosts import resolve_host, service_fqdn, service_of
from chaos.istio.virtual_services import destinations_of, http_routes
from chaos.model.experiment import Experiment
from chaos.model.situation import Situation
from chaos.values.quantities import format_duration
from chaos.values.remarks import Warn

_NANOS: Final = 1e9


def delays_unseen(experiment: Experiment, situation: Situation) -> Iterator[Warn]:
    """That a delay alone breaks nothing of what is expected, as far as the time-outs of the mesh and of the load are known."""
    held = max(kind.held for kind in experiment.kinds) * experiment.target.calls_per_request
    seconds, expected = held.total_seconds(), experiment.steady_state
    soonest = min((one.notices_after for one in expected), default=0.0)
    if not seconds or soonest < seconds or any(limit <= seconds for limit in _time_outs(experiment, situation)):
        return
    told = format_duration(held)
    if soonest == inf:
        titles = ", ".join(repr(one.title) for one in expected)
        message = (
            f"the fault holds requests back for {told}, and no expectation is about how long answers take ({titles}): a service that just waits meets all "
            "of them; expect answers within a time (good.within)"
        )
    else:
        message = (
            f"the fault holds requests back for {told}, and no expectation wants answers within less than {format_duration(timedelta(seconds=soonest))}: a "
            "service that waits once is still in time; only delays that add up break it (several calls, retries, a full pool); expect answers sooner (good.within)"
        )
    yield Warn(
        code="delay-hardly-shows",
        message=f"{message}. No time-out of a route or of the load is that short; time-outs of applications are not known",
        weakens=True,
    )


def _time_outs(experiment: Experiment, situation: Situation) -> Iterator[float]:
    """Seconds after which the load, or a route to a service other than the target, gives a request up."""
    yield experiment.load.timeout.total_seconds()
    target = service_fqdn(experiment.target.service, experiment.target.namespace)
    homes = {experiment.target.namespace, *(home[0] for host in experiment.claimed if (home := service_of(host)))}
    for one in situation.virtual_services:
        for route in http_routes(one):
            hosts = {resolve_host(part["host"], one["metadata"]["namespace"]) for part in destinations_of(route)}
            if hosts - {target} and any(_home(host) in homes for host in hosts):
                yield from _seconds(route, ("timeout",))
                yield from _seconds(route.get("retries") or {}, ("perTryTimeout",))
    for one in situation.http_routes:
        for rule in (one.get("spec") or {}).get("rules") or ():
            yield from _seconds(rule.get("timeouts") or {}, ("request", "backendRequest"))


def _home(host: str) -> str:
    return (service_of(host) or ("", ""))[0]


def _seconds(fields: Mapping[str, Any], names: Collection[str]) -> Iterator[float]:
    """The durations among some fields; none of 0, which stands for no time-out."""
    for name in names:
        found = nanoseconds(str(fields.get(name, "")))
        if found:
            yield found / _NANOS
