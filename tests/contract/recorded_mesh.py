"""The meshes of Istio's recorded answers, as the lab's control plane reads them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chaos.lab.api.resources import Resource
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.registry import Registry
from chaos.lab.istio.snapshot import Endpoint, Service, Snapshot

Object = dict[str, Any]


class Recorded:
    """A record's objects, where the registry reads."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self._objects: dict[str, list[Object]] = {}
        for one in objects:
            self._objects.setdefault(one["kind"], []).append(one)

    def list(self, res: Resource, namespace: str | None = None) -> list[Object]:
        return [one for one in self._objects.get(res.kind, ()) if namespace in (None, one["metadata"]["namespace"])]

    def find(self, res: Resource, namespace: str | None, name: str) -> Object | None:
        return next((one for one in self.list(res, namespace) if one["metadata"]["name"] == name), None)


def proxy_of(described: Mapping[str, Any]) -> Proxy:
    name = described["name"]
    return Proxy(
        pod=name, namespace=described["namespace"], kind=described.get("type", "sidecar"), labels=described["labels"],
        workload=name, app=name, version="", service_account=name, ip=described.get("ip", "127.0.0.76"), inbound={},
        directory=Path(),
    )  # fmt: skip


def snapshot_of(record: Mapping[str, Any]) -> Snapshot:
    """As the registry reads it. Each Service has endpoints with a proxy, one for each set of labels that a subset asks for:
    without any, the lab would not say how they are secured."""
    objects = [*({"kind": "Service", **one} for one in record["services"]), *record["configs"]]
    if record["mesh"]:
        data = {"mesh": json.dumps(record["mesh"])}
        objects.append({"kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": data})
    snapshot = Registry(Recorded(objects), {}).snapshot()
    rules = [one for one in record["configs"] if one["kind"] == "DestinationRule"]
    subsets = [subset for rule in rules for subset in rule["spec"].get("subsets") or ()]
    ends = tuple(
        Endpoint("127.0.0.9", 80, subset.get("labels") or {}, {}, uri="spiffe://of/endpoints", mutual=True)
        for subset in [{}, *subsets]
    )

    def filled(service: Service) -> Service:
        return dataclasses.replace(
            service, endpoints={} if service.headless else {p.number: ends for p in service.ports}
        )

    return dataclasses.replace(snapshot, services=tuple(map(filled, snapshot.services)))
