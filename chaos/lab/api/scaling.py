"""The subresource ``scale`` of what has replicas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]


def scale(obj: Mapping[str, Any]) -> Object:
    """An object's Scale."""
    meta = {key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    replicas = obj.get("spec", {}).get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas},
    }


def scaled(obj: Object, wanted: Mapping[str, Any]) -> Object:
    """The object as a Scale wants it."""
    version = wanted.get("metadata", {}).get("resourceVersion")
    meta = {**obj["metadata"], **({"resourceVersion": version} if version else {})}
    replicas = wanted.get("spec", {}).get("replicas", 0)
    return {**obj, "metadata": meta, "spec": {**obj.get("spec", {}), "replicas": replicas}}
