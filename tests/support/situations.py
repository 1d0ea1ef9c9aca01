"""Small clusters as plain objects."""

from __future__ import annotations

import textwrap
from typing import Any

from chaos.adapters.experiment_file import parse_experiment
from chaos.istio.workloads import Workload
from chaos.model.experiment import Experiment
from chaos.model.situation import Situation

EXPERIMENT = textwrap.dedent("""\
    experiment: orders
    owner: checkout
    target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
    faults:
      - abort: {percentage: 50, httpStatus: 503}
    load: {requests: [{path: /orders/42}]}
    profile: quick
    steadyState:
      - {title: answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}
""")


def experiment(**target: Any) -> Experiment:
    base = parse_experiment(EXPERIMENT).model_dump(mode="json", by_alias=True, exclude_none=True)
    base["target"] = {key: value for key, value in {**base["target"], **target}.items() if value is not None}
    return Experiment.model_validate(base)


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels, "uid": f"uid-{name}"}}


def service(name: str, ns: str = "staging", *, port: str = "http") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": ns}, "spec": {"ports": [{"name": port, "port": 8080}]}}


def virtual_service(
    name: str = "inventory", ns: str = "staging", *, created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> dict[str, Any]:
    spec.setdefault("hosts", ["inventory-svc"])
    spec.setdefault("http", [{"route": [{"destination": {"host": "inventory-svc"}}]}])
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": ns, "creationTimestamp": created, "uid": f"uid-{ns}-{name}"},
        "spec": spec,
    }


def situation(*virtual_services: dict[str, Any], **changes: Any) -> Situation:
    values: dict[str, Any] = {
        "cluster": "c1",
        "namespaces": {
            n["metadata"]["name"]: n for n in (namespace("staging", env="staging"), namespace("production"))
        },
        "services": [service("inventory-svc"), service("order-svc")],
        "virtual_services": virtual_services,
        "workloads": [Workload("order-svc", "staging", {"app": "order-svc"}, proxied=("order-1",))],
    }
    return Situation(**{**values, **changes})
