"""What every proxy does with every request: by brute force, written apart from the code that it judges.

Sources: istiod SelectVirtualServices and sortConfigByCreationTime (order, Sidecars), getSidecarScope (which Sidecar),
initVirtualServices (the mesh's default of exportTo), mergeVirtualServices (delegates),
buildSidecarVirtualHostsForVirtualService (a VirtualService without a route for the proxy is skipped), sourceMatchHTTP
(gateways in a match silence source selectors), gateway.go (routes of all bound VirtualServices are appended, catch-alls
last), getVirtualServiceForWaypoint (whose VirtualServices a waypoint takes).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Thing = Mapping[str, Any]
Done = tuple[str, str, str]
"""``(fault, where to, timeout)``; where to is ``-`` for what is answered by the proxy itself."""
ROOT = "istio-system"
NOT_FOUND: Done = ("", "404", "")
UNKNOWN: Done = ("", "502", "")


@dataclass(frozen=True)
class Proxy:
    namespace: str
    app: str
    gateway: str = ""
    """``namespace/name`` of the Gateway that it serves; none where it is a sidecar."""


@dataclass(frozen=True)
class Request:
    host: str
    path: str
    user: str = ""


@dataclass(frozen=True)
class World:
    """``services``: ``(host, namespace, exportTo)`` of Services and ServiceEntries; ``waypoint``: hosts that have one."""

    virtual_services: Sequence[Thing]
    services: Sequence[tuple[str, str, Sequence[str]]]
    sidecars: Sequence[Thing] = ()
    default: Sequence[str] = ("*",)
    waypoint: frozenset[str] = field(default_factory=frozenset)


def behaviour(world: World, proxy: Proxy, requests: Sequence[Request]) -> list[Done]:
    """What a proxy does with each request."""
    tables: dict[str, list[Thing] | Done] = {}
    done = []
    for request in requests:
        if request.host not in tables:
            tables[request.host] = table(world, proxy, request.host)
        found = tables[request.host]
        done.append(found if isinstance(found, tuple) else first(found, request))
    return done


def table(world: World, proxy: Proxy, host: str) -> list[Thing] | Done:
    """The routes, each with one condition, that a proxy has for a host; or what it does with all requests."""
    if proxy.gateway:
        return gateway_table(world, proxy, host) or NOT_FOUND
    if host in world.waypoint:
        return waypoint_table(world, host)
    if not any(
        name == host and shown(to, home, proxy.namespace) is not None and listed(world, proxy, home, [name])
        for name, home, to in world.services
    ):
        return UNKNOWN
    rank: list[tuple[int, int, str, str, str, Thing]] = []
    for vs in world.virtual_services:
        spec, meta = vs["spec"], vs["metadata"]
        names = [full(one, meta["namespace"]) for one in spec.get("hosts") or ()]
        bucket = shown(spec.get("exportTo") or world.default, meta["namespace"], proxy.namespace)
        fit = max((10_000 if one == host else len(one) for one in names if covers(one, host)), default=None)
        if bucket is None or fit is None or "mesh" not in (spec.get("gateways") or ["mesh"]):
            continue
        if listed(world, proxy, meta["namespace"], names):
            rank.append((-fit, bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], vs))
    for *_, vs in sorted(rank, key=lambda entry: entry[:5]):
        own = [one for one in flat(vs, world) if is_for(one["if"], proxy, ("mesh",))]
        if own:
            return own
    return ("", host, "")


def gateway_table(world: World, proxy: Proxy, host: str) -> list[Thing]:
    """Of all VirtualServices that are bound and seen, those of the one domain that fits best, appended."""
    bound: dict[str, list[tuple[int, str, str, str, list[Thing]]]] = {}
    for vs in world.virtual_services:
        spec, meta = vs["spec"], vs["metadata"]
        bucket = shown(spec.get("exportTo") or world.default, meta["namespace"], proxy.namespace)
        if proxy.gateway not in (spec.get("gateways") or ()) or bucket is None:
            continue
        own = [one for one in flat(vs, world) if is_for(one["if"], proxy, (proxy.gateway,))]
        for name in {full(one, meta["namespace"]) for one in spec.get("hosts") or ()}:
            if own and covers(name, host):
                key = (bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], own)
                bound.setdefault(name, []).append(key)
    if not bound:
        return []
    best = max(bound, key=lambda name: (name == host, len(name)))
    routes = [one for *_, own in sorted(bound[best], key=lambda entry: entry[:4]) for one in own]
    return sorted(routes, key=lambda one: not any(one["if"].get(key) for key in ("uri", "headers")) or any_path(one))


def any_path(one: Thing) -> bool:
    return bool(one["if"].get("uri", {}).get("prefix") == "/" and not one["if"].get("headers"))


def waypoint_table(world: World, host: str) -> list[Thing] | Done:
    """All VirtualServices of the service's namespace, whatever they say of exportTo, sources and gateways (before 1.25)."""
    home = host.split(".")[1]
    routes: list[Thing] = []
    for vs in sorted(world.virtual_services, key=lambda vs: vs["metadata"]["creationTimestamp"]):
        names = [full(one, home) for one in vs["spec"].get("hosts") or ()]
        if vs["metadata"]["namespace"] == home and any(covers(one, host) for one in names):
            routes += flat(vs, world)
    return sorted(routes, key=lambda one: "fault" not in one["then"]) or (
        "",
        host,
        "",
    )  # the worst: a fault comes first


def shown(export: Sequence[str], owner: str, viewer: str) -> int | None:
    """0 private, 1 exported to the viewer, 2 public; nothing: unseen."""
    if "*" in export:
        return 2
    if "~" in export:
        return None
    names = {owner if entry == "." else entry for entry in export}
    if viewer not in names:
        return None
    return 0 if names == {owner} else 1


def full(host: str, owner: str) -> str:
    return host if "." in host or "*" in host else f"{host}.{owner}.svc.cluster.local"


def covers(pattern: str, host: str) -> bool:
    return pattern == host or (pattern.startswith("*") and host.endswith(pattern[1:]) and len(host) >= len(pattern))


def listed(world: World, proxy: Proxy, home: str, names: Sequence[str]) -> bool:
    """Whether the proxy's Sidecar, if it has one, lists an object of a namespace."""
    chosen: list[tuple[int, str, str, Thing]] = []
    for one in world.sidecars:
        labels = (one["spec"].get("workloadSelector") or {}).get("labels")
        meta = one["metadata"]
        if meta["namespace"] == proxy.namespace and labels == {"app": proxy.app}:
            near = 0
        elif meta["namespace"] in (proxy.namespace, ROOT) and not labels:
            near = 1 if meta["namespace"] == proxy.namespace else 2
        else:
            continue
        chosen.append((near, meta["creationTimestamp"], meta["name"], one))
    if not chosen:
        return True
    sidecar = min(chosen, key=lambda entry: entry[:3])[3]
    for entry in sidecar["spec"]["egress"][0]["hosts"]:
        where, name = entry.split("/")
        there = where in ("*", home) or (where == "." and home == proxy.namespace)
        if there and (name == "*" or any(covers(name, one) or covers(one, name) for one in names)):
            return True
    return False


def flat(vs: Thing, world: World) -> Iterator[Thing]:
    """One entry for each condition of each route, delegates in the place of the routes that name them."""
    home = vs["metadata"]["namespace"]
    for route in vs["spec"]["http"]:
        if "delegate" not in route:
            for block in route.get("match") or [{}]:
                yield {"if": block, "then": then(route, home)}
            continue
        for leaf in world.virtual_services:
            meta, spec = leaf["metadata"], leaf["spec"]
            wanted = (route["delegate"]["name"], route["delegate"].get("namespace") or home)
            if spec.get("hosts") or (meta["name"], meta["namespace"]) != wanted:
                continue
            if shown(spec.get("exportTo") or world.default, meta["namespace"], home) is None:
                continue
            for inner in spec["http"]:
                taken = {key: route[key] for key in ("fault", "timeout") if key in route and key not in inner}
                for one in route.get("match") or [{}]:
                    for two in inner.get("match") or [{}]:
                        if not clash(one, two):
                            maps = {
                                key: {**one.get(key, {}), **two.get(key, {})}
                                for key in ("headers", "sourceLabels")
                                if key in one or key in two
                            }
                            yield {"if": {**one, **two, **maps}, "then": then({**inner, **taken}, meta["namespace"])}


def clash(root: Thing, leaf: Thing) -> bool:
    """Whether istiod drops the pair: the leaf must ask for a part of what the root asks for."""
    if "uri" in root and "uri" in leaf and not leaf["uri"]["prefix"].startswith(root["uri"]["prefix"]):
        return True
    for key in ("headers", "sourceLabels"):
        theirs, own = root.get(key) or {}, leaf.get(key) or {}
        if any(name in theirs and theirs[name] != own[name] for name in own):
            return True
    return any(root.get(key) and leaf.get(key) and root[key] != leaf[key] for key in ("sourceNamespace", "gateways"))


def then(route: Thing, home: str) -> Thing:
    hosts = [full(part["destination"]["host"], home) for part in route["route"]]
    done = {"to": hosts, "timeout": route.get("timeout", "")}
    return {**done, "fault": route["fault"]} if "fault" in route else done


def is_for(block: Thing, proxy: Proxy, acting: Sequence[str]) -> bool:
    if block.get("gateways"):
        return any(one in block["gateways"] for one in acting)
    if any(key != "app" or value != proxy.app for key, value in (block.get("sourceLabels") or {}).items()):
        return False
    return bool((block.get("sourceNamespace") or proxy.namespace) == proxy.namespace)


def first(routes: Iterable[Thing], request: Request) -> Done:
    for one in routes:
        block = one["if"]
        path = block.get("uri", {}).get("prefix", "/")
        headers = block.get("headers") or {}
        user = headers.get("x-user", {}).get("exact")
        if request.path.startswith(path) and user in (None, request.user) and "x-chaos-run" not in headers:
            done = one["then"]
            fault = json.dumps(done["fault"], sort_keys=True) if "fault" in done else ""
            return (fault, ",".join(done["to"]), done["timeout"])
    return NOT_FOUND


def changed(
    before: World, after: World, proxies: Sequence[Proxy], requests: Sequence[Request]
) -> dict[Proxy, list[Done]]:
    """The proxies that do anything else with any request, and what they do now."""
    found = {}
    for proxy in proxies:
        now = behaviour(after, proxy, requests)
        if now != behaviour(before, proxy, requests):
            found[proxy] = now
    return found


def differs_by(before: Iterable[Done], now: Iterable[Done], fault: Mapping[str, Any]) -> bool:
    """Whether a proxy does with each request what it did before, but for this fault."""
    added = json.dumps(fault, sort_keys=True)
    return all(one == two or (added, *one[1:]) == two for one, two in zip(before, now, strict=True))


def leaves(done: Iterable[Done], inside: Iterable[str]) -> bool:
    """Whether any of these goes on to a host that is no Service of these namespaces."""
    ends = tuple(f".{namespace}.svc.cluster.local" for namespace in inside)
    for _, where, _ in done:
        if where not in ("404", "502") and any(not host.endswith(ends) for host in where.split(",")):
            return True
    return False
