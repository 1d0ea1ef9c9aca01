"""A mesh in which one document has its effect: services that it names, workloads that it selects, gateways that it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chaos.istio.gateways import gateway_name
from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import MESH
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.registry import Registry
from chaos.lab.istio.translate import translate
from tests.contract.envoy_check import Resources
from tests.contract.recorded_mesh import Recorded

Object = dict[str, Any]
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_AGE: Final = "2026-01-01T00:00:00Z"
_GROUP: Final = "networking.istio.io/v1"


def configurations(document: Mapping[str, Any]) -> Iterator[tuple[str, Resources]]:
    """What a caller, a service and a gateway are told where there is this document; each with its name."""
    meta = {"namespace": "default", "creationTimestamp": _AGE, "uid": "1", **document["metadata"]}
    obj = {**document, "metadata": meta}
    spec = obj.get("spec") or {}
    objects = [obj, *_beside(obj)]
    labels = _labels(obj)
    ports = {80, *_ports(spec)}
    for kind, name in (("sidecar", "caller"), ("router", "gateway")):
        proxy = Proxy(
            pod=name, namespace=meta["namespace"], kind=kind, labels=labels, workload=name, app=name, version="v1",  # type: ignore[arg-type]
            service_account=name, ip="127.0.0.9", inbound=dict.fromkeys(ports, 40000) if kind == "sidecar" else {},
            directory=Path(),
        )  # fmt: skip
        snapshot = Registry(Recorded(objects), {proxy.key: proxy}).snapshot()
        yield name, translate(proxy, snapshot)


def _beside(obj: Object) -> Iterator[Object]:
    spec, kind, namespace = obj.get("spec") or {}, obj["kind"], obj["metadata"]["namespace"]
    if kind == "VirtualService":
        if not spec.get("hosts"):
            leaf = {"name": obj["metadata"]["name"], "namespace": namespace}
            yield _made("VirtualService", "root", namespace, {"hosts": ["root.example"], "http": [{"delegate": leaf}]})
        for gateway in {gateway_name(one, namespace) for one in spec.get("gateways") or () if one != MESH}:
            home, _, name = gateway.partition("/")
            server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
            yield _made("Gateway", name, home, {"servers": [server]})
    if kind == "Gateway":
        http = [{"route": [{"destination": {"host": "a.example"}}]}]
        own = {"hosts": ["*"], "gateways": [f"{namespace}/{obj['metadata']['name']}"], "http": http}
        yield _made("VirtualService", "bound", namespace, own)
    hosts = [spec["host"]] if kind == "DestinationRule" else spec.get("hosts") or () if kind == "VirtualService" else ()
    for host in hosts:
        # Any kind of host is a service by a ServiceEntry; a wildcard's is one of those that it covers.
        full = resolve_host(host, namespace).replace("*", "any", 1).lower()
        listed = [{"number": one, "name": f"http-{one}", "protocol": "HTTP"} for one in sorted({80, *_ports(spec)})]
        ends = [
            {"address": "127.0.0.9", "labels": dict(subset.get("labels") or {})}
            for subset in [{}, *(spec.get("subsets") or ())]
        ]
        entry = {
            "hosts": [full],
            "ports": listed,
            "resolution": "STATIC",
            "endpoints": ends,
            "location": "MESH_INTERNAL",
        }
        yield _made("ServiceEntry", f"at-{len(full)}", namespace, entry)


def _made(kind: str, name: str, namespace: str, spec: Object) -> Object:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": _AGE, "uid": name}
    return {"apiVersion": _GROUP, "kind": kind, "metadata": meta, "spec": spec}


def _labels(obj: Object) -> dict[str, str]:
    """Of a workload that the document selects, as far as a workload can have them."""
    spec = obj.get("spec") or {}
    blocks = [block for http in spec.get("http") or () for block in http.get("match") or ()]
    chosen = spec.get("selector") or {}
    found = [
        *(block.get("sourceLabels") or {} for block in blocks),
        (spec.get("workloadSelector") or {}).get("labels") or {},
        chosen if obj["kind"] == "Gateway" else chosen.get("matchLabels") or {},
    ]
    return {key: value for labels in found for key, value in labels.items() if _LABEL.fullmatch(value)}


def _ports(found: Any) -> Iterator[int]:
    """Every port that is named anywhere, as a number."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            number = value.get("number") if isinstance(value, Mapping) else value
            if key == "port" and isinstance(number, int) and 0 < number < 65536:
                yield number
            if key == "portLevelMtls" and isinstance(value, Mapping):
                yield from (int(one) for one in value if str(one).isdigit() and 0 < int(one) < 65536)
            yield from _ports(value)
    elif isinstance(found, list):
        for one in found:
            yield from _ports(one)
