"""Pods out of templates, with a sidecar where Istio's injector would put one. Pure functions over plain objects."""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from chaos.istio.injection import DEFAULT_REVISION, STATUS, is_injected
from chaos.istio.proxy import CONTAINER, ROUTER, SIDECAR, proxy_role

PROXY_IMAGE: Final = "lab.istio-chaos.dev/envoy:1.40.0"
NODE: Final = "lab"
"""The one node, which is this machine."""
_HASH_LABELS: Final = {"Deployment": "pod-template-hash", "Rollout": "rollouts-pod-template-hash"}
"""By kind, the label in which pods have the hash of their template."""
REVISION_LABEL: Final = "controller-revision-hash"
"""The same of StatefulSets and DaemonSets."""
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"  # that of Kubernetes' generated names

Object = Mapping[str, Any]


def template_hash(deployment: Object) -> str:
    """A short hash of the pod template; a change of it is a rollout."""
    text = json.dumps(deployment["spec"].get("template", {}), sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    letters = []
    for _ in range(10):
        number, at = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)


def hash_label(deployment: Object) -> str:
    """The label in which its pods have the hash of their template."""
    return _HASH_LABELS[deployment.get("kind", "Deployment")]


def hash_of(obj: Object) -> str | None:
    """The hash of the template that a Pod or a ReplicaSet is made from."""
    return next((found for label in _HASH_LABELS.values() if (found := _labels(obj).get(label))), None)


def replica_set_of(deployment: Object) -> dict[str, Any]:
    """The ReplicaSet of a Deployment's present template."""
    meta, hashed = deployment["metadata"], template_hash(deployment)
    template = copy.deepcopy(dict(deployment["spec"].get("template") or {}))
    template_meta = template.setdefault("metadata", {})
    labels = template_meta["labels"] = {**(template_meta.get("labels") or {}), hash_label(deployment): hashed}
    selector = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{hashed}",
            "namespace": meta["namespace"],
            "labels": dict(labels),
            "ownerReferences": [_owner(deployment)],
        },
        "spec": {
            "replicas": int(deployment["spec"].get("replicas", 1)),
            "selector": {"matchLabels": {**selector, hash_label(deployment): hashed}},
            "template": template,
        },
    }


def _owner(obj: Object) -> dict[str, Any]:
    meta = obj["metadata"]
    owner = {
        "apiVersion": obj.get("apiVersion", "apps/v1"),
        "kind": obj["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
    return {**owner, "controller": True, "blockOwnerDeletion": True}


def pod_of(owner: Object, *, name: str = "", labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One more Pod of a template, not injected yet.

    Args:
        owner: What has the template.
        name: Where it is not to be generated.
        labels: Beside those of the template.
    """
    meta = owner["metadata"]
    template = copy.deepcopy(dict(owner["spec"].get("template") or {}))
    template_meta = template.get("metadata") or {}
    for container in (template.get("spec") or {}).get("containers") or ():
        container["ports"] = [{"protocol": "TCP", **port} for port in container.get("ports") or ()]
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(5))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"{meta['name']}-{suffix}",
            "namespace": meta["namespace"],
            "labels": {**(template_meta.get("labels") or {}), **(labels or {})},
            "annotations": dict(template_meta.get("annotations") or {}),
            "generateName": f"{meta['name']}-",
            "ownerReferences": [_owner(owner)],
        },
        "spec": {"containers": [], **(template.get("spec") or {}), "nodeName": NODE},
    }


def is_gateway(pod: Object) -> bool:
    """Whether the pod's Envoy is a gateway: by the ``gateway`` injection template, or as istiod makes it for the Gateway API."""
    return proxy_role(pod) == ROUTER


def inject(pod: Object, namespace: Object) -> dict[str, Any]:
    """The pod with the proxy's container where it wants one; an equal copy otherwise."""
    injected: dict[str, Any] = copy.deepcopy(dict(pod))
    bare = [one for one in _containers(injected) if one.get("name") == CONTAINER and not one.get("args")]
    if (is_gateway(pod) and bare) or is_injected(pod, namespace):
        injected["metadata"].setdefault("annotations", {})[STATUS] = json.dumps(
            {"containers": [CONTAINER], "revision": DEFAULT_REVISION}
        )
    if is_gateway(pod):
        for container in bare:
            container |= {"image": PROXY_IMAGE, "args": ["proxy", ROUTER]}  # Istio replaces `image: auto` the same way
    elif is_injected(pod, namespace):
        injected["spec"].setdefault("containers", []).append(
            {
                "name": CONTAINER,
                "image": PROXY_IMAGE,
                "args": ["proxy", SIDECAR],
                "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
            }
        )
    return injected


def app_ports(pod: Object) -> list[int]:
    """The container ports of the pod's applications; the proxy's own don't count."""
    return sorted(
        {
            int(port["containerPort"])
            for container in _containers(pod)
            if container.get("name") != CONTAINER
            for port in container.get("ports") or ()
            if port.get("protocol", "TCP") == "TCP"
        }
    )


def named_ports(pod: Object) -> dict[str, int]:
    """The pod's ports by their names, for Services that target them so."""
    return {
        port["name"]: int(port["containerPort"])
        for container in _containers(pod)
        for port in container.get("ports") or ()
        if port.get("name")
    }


def above(pod: Object) -> tuple[str, str]:
    """Kind and name of the Deployment, or Rollout, above the pod's ReplicaSet."""
    owner = next(owner for owner in pod["metadata"]["ownerReferences"] if owner["kind"] == "ReplicaSet")
    kind = next((kind for kind, label in _HASH_LABELS.items() if label in _labels(pod)), "Deployment")
    return kind, str(owner["name"]).removesuffix(f"-{hash_of(pod)}")


def _containers(pod: Object) -> list[dict[str, Any]]:
    return list(pod["spec"].get("containers") or ())


def _labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}
