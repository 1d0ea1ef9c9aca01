"""An object of Istio's as people would keep it in Git: without what the API server, its clients and the harness keep on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Object = Mapping[str, Any]
_RUNTIME: Final = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")
"""Annotations that clients keep for themselves."""


def cleaned(obj: Object, *, ours: str) -> dict[str, Any]:
    """The object in a stable order: name, namespace, labels, annotations and spec.

    Not status, uid, resourceVersion, generation, creationTimestamp, managedFields, owners, finalizers, nor annotations and labels of clients, and
    of the harness (those that begin with ``ours``).
    """
    meta = obj["metadata"]
    kept: dict[str, Any] = {"name": meta["name"], "namespace": meta["namespace"]}
    for key in ("labels", "annotations"):
        found = {
            name: value
            for name, value in sorted((meta.get(key) or {}).items())
            if name not in _RUNTIME and not name.startswith(f"{ours}/")
        }
        if found:
            kept[key] = found
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": kept,
        "spec": _sorted(obj.get("spec") or {}),
    }


def _sorted(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(key): _sorted(node[key]) for key in sorted(node)}
    return [_sorted(one) for one in node] if isinstance(node, list | tuple) else node
