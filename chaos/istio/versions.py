"""Versions of Kubernetes, istiod and proxies, as far as texts and tags of images tell them, and which of them fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from chaos.istio.exports import Object
from chaos.istio.proxy import proxy_container

Version = tuple[int, int]
"""Major and minor."""
_VERSION: Final = re.compile(r"(?<![\d.])(\d+)\.(\d+)")


def version_of(text: str) -> Version | None:
    """Major and minor version in a text; ``None`` where it has none.

    >>> version_of("v1.30.0-lab")
    (1, 30)
    """
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else None


def tag_of(image: str) -> str:
    """The tag of a container's image; empty where it has none, such as one that is named by its digest alone."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def proxies_by_pod(pods: Iterable[Object]) -> dict[str, Version]:
    """The version of each pod's proxy; those without a proxy are left out, and those whose image's tag tells no version."""
    tags = {pod["metadata"]["name"]: tag_of(str((proxy_container(pod) or {}).get("image") or "")) for pod in pods}
    return {name: version for name, tag in tags.items() if (version := version_of(tag)) is not None}


def fits(proxy: Version, istiod: Version) -> bool:
    """Whether istiod supports a proxy: one of its own version, or one minor version older."""
    return proxy[0] == istiod[0] and 0 <= istiod[1] - proxy[1] <= 1
