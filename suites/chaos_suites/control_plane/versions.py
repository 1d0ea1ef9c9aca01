"""Versions of Kubernetes, istiod and proxies, as far as the cluster tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Version = tuple[int, int]


def version_of(text: str) -> Version | None:
    """Major and minor version in a text; ``None`` where it has none.

    >>> version_of("v1.30.0-lab")
    (1, 30)
    """
    found = re.search(r"(?<![\d.])(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def proxies_of(pods: Sequence[Mapping[str, Any]]) -> dict[str, Version]:
    """The version of each pod's proxy, by the tag of its image; pods that have ended, or whose tag is no version, are left out."""
    there = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    return {pod["metadata"]["name"]: version for pod in there for version in _tagged(pod)}


def _tagged(pod: Mapping[str, Any]) -> Iterator[Version]:
    spec = pod["spec"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        if container["name"] == "istio-proxy":
            version = version_of(container.get("image", "").rpartition(":")[2])
            if version is not None:
                yield version


def astray(proxies: Mapping[str, Version], istiod: Version) -> list[str]:
    """The pods whose proxy is newer than istiod, or more than one minor version older (Istio's supported skew)."""
    major, minor = istiod
    return sorted(pod for pod, version in proxies.items() if version not in ((major, minor), (major, minor - 1)))
