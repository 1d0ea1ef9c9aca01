"""Istio's configuration of some namespaces as it is in the mesh, and the proxies that have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chaos.errors import MeshError
from chaos.istio.cleaned import cleaned
from chaos.istio.proxy_state import ProxyState
from chaos.istio.resources import KINDS
from chaos.istio.workloads import workloads_of
from chaos.model.backup import Key, Object, key_of
from chaos.model.marks import PREFIX
from chaos.ports import Mesh

_UNANSWERED: Final = (403, 404)


@dataclass(frozen=True)
class Found:
    """Istio's configuration of some namespaces.

    Args:
        objects: As they are, by namespace, kind and name.
        kinds: Those that could be listed.
        unlisted: The others, each with the reason.
        denied: Those of them that the cluster serves, and that may have objects.
    """

    objects: Mapping[Key, Object]
    kinds: tuple[str, ...]
    unlisted: Mapping[str, str] = field(default_factory=dict)
    denied: tuple[str, ...] = ()

    @property
    def cleaned(self) -> Mapping[Key, Object]:
        """The objects as they are kept."""
        return {key: cleaned(obj, ours=PREFIX) for key, obj in self.objects.items()}


def find(mesh: Mesh, namespaces: Sequence[str]) -> Found:
    """Every object of Istio's configuration in these namespaces.

    Raises:
        MeshError: the API can't be read.
    """
    objects: dict[Key, Object] = {}
    kinds, unlisted, denied = [], {}, []
    for one in KINDS:
        try:
            for namespace in namespaces:
                objects |= {key_of(obj): obj for obj in mesh.istio_objects(one.kind, namespace)}
            kinds.append(one.kind)
        except MeshError as error:
            if error.status not in _UNANSWERED:
                raise
            if error.status == 404:
                unlisted[one.kind] = "the cluster does not serve it"
            else:
                unlisted[one.kind] = f"no right to list {one.full} there"
                denied.append(one.kind)
    return Found(objects, tuple(kinds), unlisted, tuple(denied))


def proxies(mesh: Mesh, namespaces: Sequence[str]) -> list[ProxyState]:
    """What the proxies of some namespaces say of themselves.

    Raises:
        MeshError: the API can't be read.
    """
    return [
        ProxyState.of(namespace, pod, mesh.stats_of_proxy(namespace, pod))
        for namespace in namespaces
        for workload in workloads_of(mesh.pods(namespace))
        for pod in workload.proxied
    ]
