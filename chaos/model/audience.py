"""Who would feel a fault in a VirtualService, by what is configured. Pure.

It is the caller's proxy that injects, so the question is whose proxies take the object's routes: sidecars that see it
(``exportTo`` with the mesh's default, then their Sidecar resource), gateways that its routes are bound to, roots that
delegate to it. A waypoint of the target asks neither ``exportTo`` nor, before Istio 1.25, source selectors (istiod ``listener_waypoint.go`` getVirtualServiceForWaypoint; istio/istio#51565, #54775).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.istio.exports import Object, exported_namespaces
from chaos.istio.virtual_services import bound_gateways, has_route_for, roots_of, same
from chaos.istio.workloads import Workload
from chaos.model.situation import Situation


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Who would feel it.

    Args:
        exported: Namespaces whose sidecars may see the object; ``*`` for all.
        workloads: Known ones of the object's namespace whose sidecars would take its routes for requests to a service
            that they know. A name at port 80 that is no service there does not count: nobody listens.
        hidden: Known ones that would not: their Sidecar keeps it from them, or another VirtualService governs.
        gateways: Gateways that its routes are bound to.
        roots: VirtualServices that delegate to it.
    """

    exported: tuple[str, ...]
    workloads: tuple[Workload, ...] = ()
    hidden: tuple[Workload, ...] = ()
    gateways: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()

    def reaches(self, namespace: str) -> bool:
        """Whether sidecars of a namespace may see it."""
        return "*" in self.exported or namespace in self.exported


def audience_of(obj: Object, situation: Situation, *, routes: Sequence[Mapping[str, Any]] | None = None) -> Audience:
    """Who would feel the object's routes; all of them, or those that are in question."""
    home = obj["metadata"]["namespace"]
    chosen = obj.get("spec", {}).get("http") or () if routes is None else routes
    here = [w for w in situation.workloads if w.namespace == home and w.proxied and not w.gateway]
    after = situation.with_(obj)
    taking = [w for w in here if any(_takes(w, obj, chosen, after, port) for port in after.mesh.ports)]
    return Audience(
        exported=exported_namespaces(obj, default=situation.default_export),
        workloads=tuple(taking),
        hidden=tuple(w for w in here if w not in taking),
        gateways=bound_gateways(obj, chosen),
        roots=roots_of(obj, situation.virtual_services),
    )


def _takes(
    workload: Workload, obj: Object, routes: Sequence[Mapping[str, Any]], situation: Situation, port: int
) -> bool:
    """Whether a workload's requests to any service at a port are governed by the object, and any of the routes is for them."""
    own = {"spec": {"http": routes}}
    if not has_route_for(own, labels=workload.labels, namespace=workload.namespace, port=port):
        return False
    found = situation.mesh.virtual_hosts(workload.namespace, workload.labels, port)
    return any(one.service is not None and one.governor is not None and same(one.governor, obj) for one in found)
