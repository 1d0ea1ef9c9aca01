"""Manifests of small services, for labs on which they run as processes."""

from __future__ import annotations

import json
from collections.abc import Mapping

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - {{name: app, image: "shop/{name}:1", ports: [{{containerPort: 8080}}], env: [{{name: CALLS, value: "{calls}"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
"""
STATEFUL_SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  serviceName: {name}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: app, image: "shop/{name}:1", ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
"""
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""


def workload(name: str, *, replicas: int = 1, calls: str = "") -> str:
    """A Deployment with its Service; ``calls`` is what its variable ``CALLS`` says."""
    return WORKLOAD.format(name=name, replicas=replicas, calls=calls)


def stateful_set(name: str, *, replicas: int) -> str:
    """A StatefulSet with its headless Service, so that each pod has a name: ``web-0.web``."""
    return STATEFUL_SET.format(name=name, replicas=replicas)


def door(services: Mapping[str, str]) -> str:
    """A gateway that routes by the beginning of the path."""
    routes = [
        {"match": [{"uri": {"prefix": prefix}}], "route": [{"destination": {"host": host}}]}
        for prefix, host in services.items()
    ]
    spec = {"hosts": ["*"], "gateways": ["door"], "http": routes}
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "door"},
        "spec": spec,
    }
    return f"{GATEWAY}---\n{json.dumps(route)}\n"
