"""Whose pods are whose: which a Service selects, and which Services have pods of their own, so that these count for no other.

A proxy counts under the name of one Service, whichever of those that select its pod was called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaos.istio.exports import Object
from chaos.istio.hosts import service_fqdn
from chaos.istio.workloads import Workload


def selects(service: Object, labels: Mapping[str, str]) -> bool:
    """Whether a Service selects pods with these labels in its namespace; without a selector it selects none."""
    wanted = (service.get("spec") or {}).get("selector") or {}
    return bool(wanted) and wanted.items() <= labels.items()


def selected(service: Object, workloads: Iterable[Workload]) -> list[Workload]:
    """The workloads that a Service selects."""
    home = service["metadata"]["namespace"]
    return [one for one in workloads if one.namespace == home and selects(service, one.labels)]


def hosts_with_own_pods(services: Sequence[Object], workloads: Sequence[Workload]) -> Iterator[str]:
    """The registry hosts of Services whose workloads no other Service selects."""
    chosen = {one["metadata"]["name"]: _selected(one, workloads) for one in services}
    for one in services:
        name, mine = one["metadata"]["name"], chosen[one["metadata"]["name"]]
        if mine and not any(mine & others for other, others in chosen.items() if other != name):
            yield service_fqdn(name, one["metadata"]["namespace"])


def other_names(host: str, services: Sequence[Object], workloads: Sequence[Workload]) -> Iterator[str]:
    """The registry hosts of other Services that select some of a host's workloads, and no others.

    The proxy of a pod counts what arrives under the name of one Service alone, whichever was called.
    """
    chosen = {
        service_fqdn(one["metadata"]["name"], one["metadata"]["namespace"]): _selected(one, workloads)
        for one in services
    }
    yield from (
        other
        for other, theirs in chosen.items()
        if other != host and theirs and theirs <= chosen.get(host, frozenset())
    )


def _selected(service: Object, workloads: Sequence[Workload]) -> frozenset[tuple[str, str]]:
    return frozenset((one.namespace, one.name) for one in selected(service, workloads))
