"""What an Envoy refused, and of which objects it was made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_CONFIG: Final = re.compile(r"/apis/[^/]+/[^/]+/namespaces/([^/]+)/([^/]+)/(.+)")
_KINDS: Final = {"virtual-service": "VirtualService", "destination-rule": "DestinationRule"}
"""As istiod names them in the metadata of what it makes of them (``pilot/pkg/networking/util`` BuildConfigInfoMetadata)."""
_ENTRY: Final = re.compile(r"^\[\d{4}-[^\]]*\]\[\d+\]\[\w+\]\[(?P<topic>\w+)\] (?:\[[^\]]*\] )?", re.MULTILINE)


@dataclass(frozen=True)
class Refusal:
    """An update that a proxy did not take, so that it goes on with what it had.

    Attributes:
        node: The proxy's id.
        kind: Clusters, routes, listeners or secrets.
        objects: Those behind what is new in it, such as ``VirtualService staging/reviews``; names of resources for what
            comes from no such object.
    """

    node: str
    kind: str
    objects: tuple[str, ...]


def behind(new: Mapping[str, str], old: Mapping[str, str]) -> tuple[str, ...]:
    """The objects behind what is new: in resources as JSON by their names, beside those that the proxy has."""
    known = {piece for name, text in old.items() if text != new.get(name) for piece, _ in _pieces(json.loads(text))}
    found = [
        told
        for name, text in new.items()
        if text != old.get(name)
        for piece, told in _pieces(json.loads(text))
        if piece not in known
    ]
    return tuple(dict.fromkeys(found)) or tuple(
        sorted(_told(name) for name, text in new.items() if text != old.get(name))
    )


def _told(resource: str) -> str:
    """A resource that no object is said to be behind, by its name; that of a gateway's certificate is the Secret's (``tls.gateway_secret``)."""
    return resource.replace("kubernetes://", "Secret ", 1)


def _pieces(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The parts of a resource that come from one object each, with what that is: its routes, or itself."""
    routes = [route for host in resource.get("virtual_hosts") or () for route in host.get("routes") or ()]
    for part in routes or [resource]:
        known = ((part.get("metadata") or {}).get("filter_metadata") or {}).get("istio") or {}
        named = _CONFIG.fullmatch(known.get("config", ""))
        if named:
            namespace, kind, name = named.groups()
            yield json.dumps(part), f"{_KINDS.get(kind, kind)} {namespace}/{name}"


def words_of(log: str) -> str:
    """Why, from the end of an Envoy's log: REST discovery does not tell the control plane.

    Its words are the last line of what it says of its configuration, of which the beginning may be cut off.
    """
    starts = list(_ENTRY.finditer(log))
    while starts and starts[-1]["topic"] != "config":
        log = log[: starts.pop().start()]
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return _ENTRY.sub("", lines[-1]).lstrip(": ") if lines else ""
