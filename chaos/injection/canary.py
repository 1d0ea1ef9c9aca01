"""What a shift's target is, a subset or a Service of its own, and by what the metrics tell which requests it got. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chaos.errors import InputError
from chaos.injection.weights import Object, Way, destinations_named, shifted
from chaos.istio.hosts import resolve_host, service_of, short
from chaos.istio.virtual_services import hosts_of
from chaos.istio.workloads import Workload
from chaos.model.shift import Recognised
from chaos.model.situation import Situation


def canary_of(vs: Object, way: Way, around: Situation) -> Way:
    """The way with what its target is: as routes name it, else as it is there.

    Raises:
        InputError: the target is neither a subset that callers know, nor a Service; requests to it would be answered with 503.
    """
    home = vs["metadata"]["namespace"]
    named = destinations_named(vs, way.target)
    if named:
        way = replace(way, is_host=not any(one.get("subset") for one in named))
    else:
        hosts = {str(one["host"]) for one in destinations_named(vs, way.source)}
        if not all(_subset(host, way.target, home, around) is not None for host in hosts):
            way = replace(way, is_host=True)
            if around.service(home, way.target) is None:
                raise _nowhere(way.target, hosts, home)
    for one in _targets(vs, way):
        if one.get("subset") and _subset(str(one["host"]), str(one["subset"]), home, around) is None:
            raise _nowhere(way.target, {str(one["host"])}, home)
    return way


def recognised(vs: Object, way: Way, around: Situation, workloads: Sequence[Workload]) -> Recognised:
    """By what the metrics tell that a request went to the target; ``workloads`` of all namespaces that have its hosts."""
    home = vs["metadata"]["namespace"]
    targets = list(_targets(vs, way))
    selectors = [
        _subset(str(one["host"]), str(one["subset"]), home, around) or {} for one in targets if one.get("subset")
    ]
    names = [one.name for one in workloads if any(labels.items() <= one.labels.items() for labels in selectors)]
    return Recognised(
        of=tuple(dict.fromkeys(resolve_host(host, home) for host in hosts_of(vs))),
        hosts=tuple(dict.fromkeys(resolve_host(str(one["host"]), home) for one in targets)),
        workloads=tuple(dict.fromkeys(names)) if selectors else None,
    )


def homes_of(vs: Object, way: Way) -> frozenset[str]:
    """The namespaces of the Services of the target's destinations."""
    home = vs["metadata"]["namespace"]
    found = (service_of(resolve_host(str(one["host"]), home)) for one in _targets(vs, way))
    return frozenset(service[0] for service in found if service is not None)


def _targets(vs: Object, way: Way) -> Sequence[Mapping[str, Any]]:
    return destinations_named({**vs, "spec": shifted(vs, way, 100)}, way.target)


def _subset(host: str, name: str, home: str, around: Situation) -> Mapping[str, str] | None:
    """The labels of a subset; ``None`` where callers of the namespace know none of this name."""
    rule = around.rule_for(resolve_host(host, home), home)
    found = (one for one in ((rule or {}).get("spec") or {}).get("subsets") or () if one["name"] == name)
    return next((one.get("labels") or {} for one in found), None)


def _nowhere(target: str, hosts: set[str], home: str) -> InputError:
    named = " and ".join(sorted(short(resolve_host(host, home), home) for host in hosts))
    return InputError(
        f"requests to {target!r} would be answered with 503: no DestinationRule that callers in {home} follow has this subset of "
        f"{named}, and there is no Service {home}/{target}",
        hint="add the subset to the DestinationRule, or name the Service of the new version",
    )
