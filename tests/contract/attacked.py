"""A cluster that is attacked, and the experiment that an attack wants to run."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.planning import dry_run, look, make_plan
from chaos.lab.api.resources import CONFIG_MAPS, NAMESPACES, SERVICES, VIRTUAL_SERVICES
from chaos.model.plan import Plan
from chaos.model.settings import Settings
from tests.support.api_server import CONTEXT, ApiServer

STAGING = Settings(namespaces=("staging",))
HOST = "inventory-svc.production.svc.cluster.local"
TEXT = textwrap.dedent("""\
    experiment: attack
    target: {{namespace: {namespace}, service: {service}{more}}}
    faults: [{fault}]
    load: {{requests: [{{path: /}}]}}
    profile: quick
    steadyState: [{{title: a, service: order-svc, good: {{status: "<500"}}, atLeast: 99%}}]
""")
FAULT = "abort: {percentage: 50, httpStatus: 503}"


def written(namespace: str = "staging", service: str = "inventory-svc", fault: str = FAULT, more: str = "") -> str:
    return TEXT.format(namespace=namespace, service=service, fault=fault, more=more)


class Cluster:
    """A real API server with staging and production, and what an attack changes in it."""

    def __init__(self, folder: Path) -> None:
        self.server = ApiServer(folder)
        self.mesh = KubernetesMesh(str(self.server.kubeconfig), CONTEXT)
        for namespace in ("staging", "production"):
            for name in ("inventory-svc", "order-svc"):
                self.add(
                    SERVICES,
                    {
                        "metadata": {"name": name, "namespace": namespace},
                        "spec": {"ports": [{"name": "http", "port": 80}]},
                    },
                )

    def add(self, resource: Any, obj: dict[str, Any]) -> None:
        self.server.store.create(resource, obj)

    def route(self, name: str = "theirs", namespace: str = "staging", **spec: Any) -> None:
        http = [{"route": [{"destination": {"host": "inventory-svc"}}]}]
        self.add(
            VIRTUAL_SERVICES,
            {
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"hosts": ["inventory-svc"], "http": http, **spec},
            },
        )

    def waypoint(self) -> None:
        found = self.server.store.get(SERVICES, "staging", "inventory-svc")
        labelled = {**found["metadata"], "labels": {"istio.io/use-waypoint": "waypoint"}}
        self.server.store.replace(SERVICES, "staging", "inventory-svc", {**found, "metadata": labelled})

    def mesh_config(self, text: str) -> None:
        self.namespace("istio-system")
        self.add(CONFIG_MAPS, {"metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": text}})

    def namespace(self, name: str, *, annotations: dict[str, str] | None = None, **labels: str) -> None:
        found = self.server.store.find(NAMESPACES, None, name)
        meta = {"name": name, "labels": labels, "annotations": annotations or {}}
        if found is None:
            self.add(NAMESPACES, {"metadata": meta})
        else:
            self.server.store.replace(NAMESPACES, None, name, {"metadata": meta})

    def plan(self, text: str, settings: Settings = STAGING) -> Plan:
        asked = parse_experiment(text)
        found = look(self.mesh, None, asked)
        return dry_run(self.mesh, make_plan(asked, found, settings, run="abcdefgh", now=0.0))
