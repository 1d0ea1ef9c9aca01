"""Root and delegate VirtualServices become one (istiod ``pilot/pkg/model/virtualservice.go`` mergeVirtualServices)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.istio.exports import PUBLIC, Object, serves_as_delegate
from chaos.istio.gateways import gateway_name
from chaos.istio.hosts import resolve_host
from chaos.istio.virtual_services import MESH, destinations_of

_INHERITED: Final = (
    "directResponse", "timeout", "retries", "fault", "rewrite", "mirror", "mirrorPercent", "mirrorPercentage", "mirrors", "corsPolicy", "headers",
)  # fmt: skip
"""What a root's route gives to those of its delegate that have none of their own."""
_STRINGS: Final = ("uri", "scheme", "method", "authority")
_MAPS: Final = ("headers", "withoutHeaders", "queryParams")


def merged(virtual_services: Sequence[Object], *, default: Sequence[str] = PUBLIC) -> list[Object]:
    """The VirtualServices that have hosts, their delegates' routes in the place of the routes that name them.

    A delegate that is not there, not exported to the root's namespace, or that delegates itself is skipped; a route whose
    matches can't be joined with its root's is dropped, both without an error, as istiod does it.
    """
    delegates = {
        (vs["metadata"]["namespace"], vs["metadata"]["name"]): vs
        for vs in virtual_services
        if not (vs.get("spec") or {}).get("hosts")
    }
    return [_merge(vs, delegates, default) for vs in virtual_services if (vs.get("spec") or {}).get("hosts")]


def _merge(root: Object, delegates: Mapping[tuple[str, str], Object], default: Sequence[str]) -> Object:
    routes = root["spec"].get("http") or ()
    if not any(route.get("delegate") for route in routes):
        return root
    namespace = root["metadata"]["namespace"]
    found: list[dict[str, Any]] = []
    for route in routes:
        if not route.get("delegate"):
            found.append(route)
            continue
        named = route["delegate"]
        delegate = delegates.get((named.get("namespace") or namespace, named.get("name", "")))
        if delegate is not None and serves_as_delegate(delegate, namespace, default=default):
            own = delegate["metadata"]["namespace"]
            found += [
                made for leaf in delegate["spec"].get("http") or () for made in _routes(route, leaf, namespace, own)
            ]
    return {**root, "spec": {**root["spec"], "http": found}}


def _routes(root: Mapping[str, Any], leaf: Mapping[str, Any], home: str, namespace: str) -> Iterator[dict[str, Any]]:
    if leaf.get("delegate"):
        return
    matches = _joined(_blocks(root, home), _blocks(leaf, namespace))
    if matches is None:
        return
    made = copy.deepcopy({key: value for key, value in leaf.items() if key != "match"})
    for key in _INHERITED:
        if key in root and key not in made:
            made[key] = copy.deepcopy(root[key])
    if matches:
        made["match"] = matches
    names = [name for name in (root.get("name"), leaf.get("name")) if name]
    if names:
        made["name"] = "-".join(names)
    _qualify(made, namespace)
    yield made


def _blocks(route: Mapping[str, Any], namespace: str) -> list[Mapping[str, Any]]:
    """The matches of a route, their gateways named in full: short names belong to the namespace of the object."""
    return [
        {**block, "gateways": [name if name == MESH else gateway_name(name, namespace) for name in block["gateways"]]}
        if block.get("gateways")
        else block
        for block in route.get("match") or ()
    ]


def _qualify(route: dict[str, Any], namespace: str) -> None:
    """Short destination hosts of a delegate belong to the delegate's namespace."""
    for destination in destinations_of(route):
        destination["host"] = resolve_host(destination["host"], namespace)


def _joined(root: Sequence[Mapping[str, Any]], leaf: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """Every pair that can be joined; empty where neither asks for anything, ``None`` where a leaf's has no partner."""
    if not root or not leaf:
        return [dict(block) for block in root or leaf]
    found: list[dict[str, Any]] = []
    for two in leaf:
        own = [_join(one, two) for one in root if not _conflict(one, two)]
        if not own:
            return None
        found += own
    return found


def _join(root: Mapping[str, Any], leaf: Mapping[str, Any]) -> dict[str, Any]:
    made = {**root, **leaf}
    for key in (*_MAPS, "sourceLabels"):
        if key in root and key in leaf:
            made[key] = {**root[key], **leaf[key]}
    names = [block["name"] for block in (root, leaf) if block.get("name")]
    if names:
        made["name"] = "-".join(names)
    return made


def _conflict(root: Mapping[str, Any], leaf: Mapping[str, Any]) -> bool:
    if bool(root.get("ignoreUriCase")) != bool(leaf.get("ignoreUriCase")):
        return True
    if any(_differs(root.get(key), leaf.get(key)) for key in _STRINGS):
        return True
    for key in _MAPS:
        theirs = root.get(key) or {}
        if any(_differs(theirs.get(name), value) for name, value in (leaf.get(key) or {}).items()):
            return True
    if root.get("port") and leaf.get("port") and root["port"] != leaf["port"]:
        return True
    if root.get("sourceNamespace") and leaf.get("sourceNamespace") != root["sourceNamespace"]:
        return True
    labels = root.get("sourceLabels") or {}
    if any(labels.get(name, value) != value for name, value in (leaf.get("sourceLabels") or {}).items()):
        return True
    return bool(root.get("gateways")) and not set(leaf.get("gateways") or ()) <= set(root["gateways"])


def _differs(root: Mapping[str, str] | None, leaf: Mapping[str, str] | None) -> bool:
    """Whether the leaf asks for something that is no part of what the root asks for; never with a regex on both sides."""
    if not root or not leaf:
        return False
    if "regex" in root or "regex" in leaf:
        return True
    if "exact" in root:
        return leaf.get("exact") != root["exact"]
    own = leaf.get("exact", leaf.get("prefix", ""))
    return not own.startswith(root.get("prefix", ""))
