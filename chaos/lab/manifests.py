"""The objects that a lab begins with: Kubernetes' own namespaces and the demo shop, twice."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from ruamel.yaml import YAML

from chaos.errors import LabError
from chaos.istio.injection import NAMESPACE_LABEL
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.lab.addresses import AddressBlock
from chaos.lab.api.checking import Checker
from chaos.lab.api.discovery import VERSION
from chaos.lab.api.errors import ApiError
from chaos.lab.api.paths import Target
from chaos.lab.api.resources import NAMESPACES, NODES, resource_of
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validator
from chaos.lab.injection import NODE

SHOP: Final = ("staging", "production")
"""The shop's namespaces; the first is the one to experiment in."""
SYSTEM: Final = ("default", "kube-system", ROOT_NAMESPACE)
_ORDER: Final = ("ServiceAccount", "Service", "DestinationRule", "Gateway", "VirtualService", "Deployment")


def load_system(store: Store) -> None:
    """The namespaces that every cluster has, of which ``kube-system``'s uid identifies it, and the node."""
    for name in SYSTEM:
        store.create(NAMESPACES, {"metadata": {"name": name}})
    store.create(NODES, node())


def node() -> dict[str, Any]:
    """The one node that all pods are on: this machine."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "reason": "LabReady", "message": "pods are processes of this machine"}
    room = {"cpu": str(os.cpu_count() or 1), "pods": str(AddressBlock.PODS)}
    return {
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "conditions": [{**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
            "capacity": room,
            "allocatable": room,
            "nodeInfo": {
                "kubeletVersion": VERSION["gitVersion"],
                "operatingSystem": "linux",
                "architecture": platform.machine(),
            },
        },
    }


def load_shop(store: Store, validators: Mapping[str, Validator]) -> None:
    """The demo shop in each of its namespaces.

    Raises:
        LabError: An object of it is not valid: a bug of the lab.
    """
    for namespace in SHOP:
        labels = {"env": namespace, NAMESPACE_LABEL: "enabled"}
        store.create(NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})
        objects = sorted(shop_objects(namespace), key=lambda obj: _ORDER.index(obj["kind"]))
        for obj in objects:
            create(store, validators, obj)


def shop_objects(namespace: str) -> Iterator[dict[str, Any]]:
    """The shop's objects as they are loaded into a namespace."""
    yaml = YAML(typ="safe")
    folder = files("chaos.lab") / "shop"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".yaml"):
            continue
        text = file.read_text(encoding="utf-8").replace("${NAMESPACE}", namespace)
        for obj in yaml.load_all(text):
            obj["metadata"]["namespace"] = namespace
            yield obj


def create(store: Store, validators: Mapping[str, Validator], obj: dict[str, Any]) -> None:
    """Stores one object as the API would at its creation; raises ``LabError`` where the API would refuse."""
    name = f"{obj.get('kind')} {obj['metadata'].get('namespace')}/{obj['metadata'].get('name')}"
    resource = resource_of(obj)
    if resource is None:
        raise LabError(f"{name}: the lab does not serve {obj.get('apiVersion')} {obj.get('kind')}")
    checker, version = Checker(validators), str(obj["apiVersion"]).rpartition("/")[2]
    target = Target(
        resource=resource, version=version, namespace=obj["metadata"].get("namespace"), name=None, subresource=None
    )  # fmt: skip
    try:
        received = checker.sent(target, obj, (), "Ignore")
        store.create(resource, received.object, admit=checker.admit(target, received, lambda _new, _old: None))
    except ApiError as error:
        raise LabError(f"{name} can't be created: {error.message}") from error
