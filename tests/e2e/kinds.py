"""What an object is, by the path that it is written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chaos.lab.api.paths import named
from chaos.lab.api.resources import BY_KEY


def whole(path: str, obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its ``apiVersion`` and ``kind``, without which an API server takes no custom resource."""
    words = named(urlsplit(path).path)
    assert words is not None, path
    resource = BY_KEY[words.group, words.plural]
    return {"apiVersion": resource.api_version(words.version), "kind": resource.kind, **obj}
