"""The demo shop for a real cluster with Istio: the lab's own manifests, with an image that answers as the stand-ins do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaos.istio.injection import NAMESPACE_LABEL
from chaos.lab.manifests import shop_objects
from chaos.lab.workloads.behaviour import ANNOTATION

APP: Final = "app"
"""The container of the shop's Deployments that is a stand-in on the lab."""
_FIELDS: Final = {
    "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP",
    "POD_APP": "metadata.labels['app']", "POD_VERSION": "metadata.labels['version']",
    "POD_BEHAVIOUR": f"metadata.annotations['{ANNOTATION}']",
}  # fmt: skip


def shop(namespace: str, *, image: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The namespace and all objects of the shop.

    Args:
        namespace: Where it is put.
        image: Of the stand-ins, as the cluster pulls it: the Containerfile's target ``stand-in``.
        labels: What marks the namespace as staging; sidecars are injected into it.
    """
    meta = {"name": namespace, "labels": {**labels, NAMESPACE_LABEL: "enabled"}}
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    made = [_with_image(obj, image) for obj in shop_objects(namespace)]
    return [place, *made]


def _with_image(obj: dict[str, Any], image: str) -> dict[str, Any]:
    if obj["kind"] == "Deployment":
        for container in obj["spec"]["template"]["spec"]["containers"]:
            if container["name"] == APP:
                container |= {"image": image, "env": _environment(obj["metadata"]["name"], container)}
    return obj


def _environment(workload: str, container: Mapping[str, Any]) -> list[dict[str, Any]]:
    ports = ",".join(str(port["containerPort"]) for port in container["ports"])
    fixed = [{"name": "POD_WORKLOAD", "value": workload}, {"name": "POD_PORTS", "value": ports}]
    return [*fixed, *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _FIELDS.items())]
