"""Argo Rollouts' Rollouts, as far as their pods and the routes to them go; an update stays at its first step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import ClassVar, Final

from chaos.lab import injection
from chaos.lab.api.resources import ROLLOUTS, SERVICES, VIRTUAL_SERVICES, Resource
from chaos.lab.deployments import Deployments, Object
from chaos.lab.status import is_ready

_WHOLE: Final = 100
"""Percent."""


class Rollouts(Deployments):
    """Keeps the Pods of Rollouts, and sends their first step's share of the requests to an update.

    A Rollout with steps keeps the pods of its stable template beside those of a new one, until ``status.promoteFull`` is set, which
    ``kubectl argo rollouts promote --full`` does. Its Services select each by the pods' hash, and the VirtualService gets the weight
    of the first ``setWeight`` (Argo Rollouts ``rollout/trafficrouting/istio``).
    """

    resource: ClassVar[Resource] = ROLLOUTS

    def reconcile(self, namespace: str, name: str) -> None:
        """One Rollout, as it is now."""
        super().reconcile(namespace, name)
        found = self._store.find(ROLLOUTS, namespace, name)
        canary = ((found or {}).get("spec", {}).get("strategy") or {}).get("canary") or {}
        if found is not None and found.get("status") and canary.get("stableService") and canary.get("canaryService"):
            self._route(found, canary)

    def kept(self, deployment: Object) -> Collection[str]:
        """The hash of the stable pods while an update is at its first step."""
        status = deployment.get("status") or {}
        steps = (deployment["spec"].get("strategy") or {}).get("canary", {}).get("steps")
        stable = status.get("stableRS")
        return {stable} if stable and steps and not status.get("promoteFull") else ()

    def more_status(self, deployment: Object, hashed: str) -> Object:
        """Which pods are the stable ones, and whether an update waits."""
        stable = next(iter(self.kept(deployment)), hashed)
        return {
            "stableRS": stable,
            "currentPodHash": hashed,
            "phase": "Healthy" if stable == hashed else "Paused",
        }

    def _route(self, rollout: Object, canary: Object) -> None:
        namespace, status = rollout["metadata"]["namespace"], rollout["status"]
        for key, hashed in (("stableService", status["stableRS"]), ("canaryService", status["currentPodHash"])):
            service = self._store.find(SERVICES, namespace, canary[key])
            if service is not None:
                selector = {**(service["spec"].get("selector") or {}), injection.hash_label(rollout): hashed}
                self._write(SERVICES, service, {**service["spec"], "selector": selector})
        istio = (canary.get("trafficRouting") or {}).get("istio", {}).get("virtualService") or {}
        found = self._store.find(VIRTUAL_SERVICES, namespace, istio.get("name", ""))
        if found is not None:
            share = self._share(rollout, canary)
            weights = {canary["canaryService"]: share, canary["stableService"]: _WHOLE - share}
            routes = list(_weighted(found["spec"].get("http") or (), istio.get("routes"), weights))
            self._write(VIRTUAL_SERVICES, found, {**found["spec"], "http": routes})

    def _share(self, rollout: Object, canary: Object) -> int:
        """Percent of the requests that go to an update, once its pods are ready for them."""
        status = rollout["status"]
        own = [pod for pod in self._pods_of(rollout) if injection.hash_of(pod) == status["currentPodHash"]]
        if status["phase"] != "Paused" or not own or not all(map(is_ready, own)):
            return 0
        return int(next((step["setWeight"] for step in canary["steps"] if "setWeight" in step), _WHOLE))

    def _write(self, resource: Resource, obj: Object, spec: Object) -> None:
        if spec != obj["spec"]:
            meta = obj["metadata"]
            self._store.replace(resource, meta["namespace"], meta["name"], {**obj, "spec": spec})


def _weighted(routes: Iterable[Object], names: Collection[str] | None, weights: Mapping[str, int]) -> Iterator[Object]:
    """Routes with the weights of these hosts; all of them, or those that are named."""
    for route in routes:
        if names and route.get("name") not in names:
            yield route
            continue
        parts = [
            {**part, "weight": weights.get(part["destination"]["host"], part.get("weight", 0))}
            for part in route.get("route") or ()
        ]
        yield {**route, "route": parts}
