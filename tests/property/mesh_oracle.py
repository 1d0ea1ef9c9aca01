"""What every proxy does with every request: by brute force, written apart from the code that it judges.

It is held against recorded answers of Istio's own code (``tests/contract/test_istio_answers_oracle.py``), which see nothing
of the gateways' hosts nor of waypoints.

Sources: istiod SelectVirtualServices and sortConfigByCreationTime (order, Sidecars), getSidecarScope (which Sidecar),
initVirtualServices (the mesh's default of exportTo), mergeVirtualServices (delegates), BuildSidecarOutboundVirtualHosts
(which names a sidecar knows), separateVSHostsAndServices (whose they are), sourceMatchHTTP (gateways in a match silence
source selectors), gateway.go (routes of all bound VirtualServices are appended, catch-alls last),
getVirtualServiceForWaypoint (whose VirtualServices a waypoint takes).
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
EVERYTHING: Sequence[Thing] = ({"hosts": ["*/*"]},)
NOT_FOUND: Done = ("", "404", "")
UNKNOWN: Done = ("", "502", "")
NO_CLUSTER = "503"
NO_HOSTS = ("404", "502", NO_CLUSTER)


@dataclass(frozen=True)
class Proxy:
    namespace: str
    app: str
    gateway: str = ""
    """``namespace/name`` of the Gateway that it serves; none where it is a sidecar."""
    version: str = ""

    @property
    def labels(self) -> dict[str, str]:
        return {"app": self.app, **({"version": self.version} if self.version else {})}


@dataclass(frozen=True)
class Request:
    host: str
    path: str
    user: str = ""
    port: int = 80


@dataclass(frozen=True)
class Known:
    """A Service, or a host of a ServiceEntry; ``speaks``: by port, whether it is HTTP."""

    host: str
    home: str
    export: Sequence[str]
    speaks: Mapping[int, bool]
    entry: bool
    age: str


@dataclass(frozen=True)
class World:
    """``waypoint``: hosts that have one."""

    virtual_services: Sequence[Thing]
    services: Sequence[Known]
    sidecars: Sequence[Thing] = ()
    default: Sequence[str] = ("*",)
    waypoint: frozenset[str] = field(default_factory=frozenset)
    root: str = ROOT
    memo: dict[Any, Any] = field(default_factory=dict, compare=False)


def known(services: Sequence[Thing], entries: Sequence[Thing]) -> list[Known]:
    """Kubernetes' objects as the registry has them, the oldest first."""
    found = []
    for one in services:
        meta = one["metadata"]
        noted = (meta.get("annotations") or {}).get("networking.istio.io/exportTo", "*")
        speaks = {port["port"]: not port["name"].startswith("tcp") for port in one["spec"]["ports"]}
        host, age = f"{meta['name']}.{meta['namespace']}.svc.cluster.local", meta.get("creationTimestamp", "")
        found.append(
            (age, meta["name"], Known(host, meta["namespace"], noted.replace(" ", "").split(","), speaks, False, age))
        )
    for one in entries:
        meta, spec = one["metadata"], one["spec"]
        speaks = {port["number"]: port["protocol"] == "HTTP" for port in spec["ports"]}
        age = meta["creationTimestamp"]
        for host in spec["hosts"]:
            own = Known(host, meta["namespace"], spec.get("exportTo") or ["*"], speaks, True, age)
            found.append((age, host, own))
    return [one for _, _, one in sorted(found, key=lambda each: (each[0], each[1], each[2].home))]


def behaviour(world: World, proxy: Proxy, requests: Sequence[Request]) -> list[Done]:
    """What a proxy does with each request."""
    tables: dict[tuple[str, int], list[Thing] | Done] = {}
    names: dict[int, dict[str, Claim]] = {}
    reached = None if proxy.gateway else clusters(world, proxy)
    done = []
    for request in requests:
        key = (request.host, request.port)
        if key not in tables:
            if not proxy.gateway and request.port not in names:
                names[request.port] = claims(world, proxy, request.port)
            tables[key] = table(world, proxy, request.host, names.get(request.port, {}))
        found = tables[key]
        fault, where, timeout = found if isinstance(found, tuple) else first(found, request)
        if reached is not None and where not in NO_HOSTS:
            where = ",".join(host if host in reached else NO_CLUSTER for host in where.split(","))
        done.append((fault, where, timeout))
    return done


def table(world: World, proxy: Proxy, host: str, names: Mapping[str, Claim]) -> list[Thing] | Done:
    """The routes, each with one condition, that a proxy has for a host; or what it does with all requests."""
    if proxy.gateway:
        return gateway_table(world, proxy, host) or NOT_FOUND
    if host in world.waypoint:
        return waypoint_table(world, host)
    fit = host if host in names else max((one for one in names if covers(one, host)), key=len, default="")
    if not fit:
        return UNKNOWN
    return names[fit].routes or ("", names[fit].service, "")


@dataclass(frozen=True)
class Claim:
    """Whose a name is: a VirtualService's, with its routes for the proxy, or the ``service``'s own."""

    owner: Thing | None
    routes: list[Thing] = field(default_factory=list)
    service: str = ""


def claims(world: World, proxy: Proxy, port: int) -> dict[str, Claim]:
    """Every name that a sidecar knows at a port; the first that claims one has it."""
    egress = egress_of(world, proxy, port)
    if egress is None:
        return {}
    seen = [vs for vs in considered(world, proxy) if imported(egress, proxy, vs["metadata"]["namespace"], names_of(vs))]
    key = (proxy.namespace, id(egress))
    if key not in world.memo:
        world.memo[key] = services_of(world, proxy, egress)
    services = world.memo[key]
    there = {one.host: one for one in services if port in one.speaks}
    found: dict[str, Claim] = {}
    for vs in seen:
        own = [one for one in flat(vs, world) if is_for(one["if"], proxy, ("mesh",), port)]
        if not own:
            continue
        hosts = [one.lower() for one in names_of(vs)]
        mine = [there[one] for one in hosts if one in there]
        mine += [
            one
            for pattern in hosts
            for host, one in there.items()
            if pattern.startswith("*") and touches(host, pattern) and best(seen, host) is vs
        ]
        speaking = [one for one in mine if one.speaks[port]]
        if not speaking and port != 80:
            continue
        for host in hosts:
            if not (any(touches(one, host) for one in there) if host.startswith("*") else host in there):
                found.setdefault(host, Claim(vs, own))
        for one in speaking:
            for name in called(one.host, proxy.namespace):
                found.setdefault(name, Claim(vs, own))
    for one in there.values():
        for name in called(one.host, proxy.namespace) if one.speaks[port] else ():
            found.setdefault(name, Claim(None, service=one.host))
    return found


def considered(world: World, proxy: Proxy) -> list[Thing]:
    """The VirtualServices for sidecars that are exported to a proxy, in istiod's order."""
    rank = []
    for vs in world.virtual_services:
        spec, meta = vs["spec"], vs["metadata"]
        bucket = shown(spec.get("exportTo") or world.default, meta["namespace"], proxy.namespace)
        if bucket is not None and spec.get("hosts") and "mesh" in (spec.get("gateways") or ["mesh"]):
            rank.append((bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], vs))
    return [vs for *_, vs in sorted(rank, key=lambda entry: entry[:4])]


def best(seen: Sequence[Thing], host: str) -> Thing | None:
    """The first VirtualService of the hosts that fit best, as they are written."""
    fits = [
        (name == host, len(name), -number, vs)
        for number, vs in enumerate(seen)
        for name in names_of(vs)
        if covers(name, host)
    ]
    return max(fits, key=lambda fit: fit[:3])[3] if fits else None


def services_of(world: World, proxy: Proxy, egress: Thing) -> list[Known]:
    """What of the registry is exported and imported, for each host that of one namespace."""
    number = (egress.get("port") or {}).get("number")
    rank = [(shown(one.export, one.home, proxy.namespace), one) for one in world.services]
    found = [
        one
        for wanted in range(3)
        for bucket, one in rank
        if bucket == wanted
        and imported(egress, proxy, one.home, [one.host], both_ways=False)
        and (number is None or number in one.speaks)
    ]
    kept = []
    for one in found:
        rivals = [other for other in found if other.host == one.host]
        at_home = [other for other in rivals if other.home == proxy.namespace]
        first_ones = at_home or [other for other in rivals if not other.entry] or rivals
        if one.home == first_ones[0].home:
            kept.append(one)
    return kept


def names_of(vs: Thing) -> list[str]:
    return [full(one, vs["metadata"]["namespace"]) for one in vs["spec"].get("hosts") or ()]


def called(host: str, viewer: str) -> list[str]:
    """The names by which clients of a namespace may call a host of the registry."""
    parts = host.split(".")
    if parts[2:] != ["svc", "cluster", "local"]:
        return [host]
    short = [f"{parts[0]}.{parts[1]}", f"{parts[0]}.{parts[1]}.svc"]
    return [host, *short, *([parts[0]] if parts[1] == viewer else [])]


def gateway_table(world: World, proxy: Proxy, host: str) -> list[Thing]:
    """Of all VirtualServices that are bound and seen, those of the one domain that fits best, appended."""
    bound: dict[str, list[tuple[int, str, str, str, list[Thing]]]] = {}
    for vs in world.virtual_services:
        spec, meta = vs["spec"], vs["metadata"]
        bucket = shown(spec.get("exportTo") or world.default, meta["namespace"], proxy.namespace)
        if proxy.gateway not in (spec.get("gateways") or ()) or bucket is None:
            continue
        own = up_to_catch_all(one for one in flat(vs, world) if is_for(one["if"], proxy, (proxy.gateway,)))
        for name in {one.lower() for one in names_of(vs)}:
            if own and covers(name, host):
                key = (bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], own)
                bound.setdefault(name, []).append(key)
    if not bound:
        return []
    best = max(bound, key=lambda name: (name == host, len(name)))
    routes = [one for *_, own in sorted(bound[best], key=lambda entry: entry[:4]) for one in own]
    return sorted(routes, key=catches_all)


def up_to_catch_all(routes: Iterable[Thing]) -> list[Thing]:
    """istiod makes no routes of a VirtualService after one that catches all."""
    made = []
    for one in routes:
        made.append(one)
        if catches_all(one):
            break
    return made


def catches_all(one: Thing) -> bool:
    return one["if"].get("uri", {"prefix": "/"}) == {"prefix": "/"} and not one["if"].get("headers")


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
    return 0 if viewer == owner else 1


def full(host: str, owner: str) -> str:
    return host if "." in host or "*" in host else f"{host}.{owner}.svc.cluster.local"


def covers(pattern: str, host: str) -> bool:
    return pattern == host or (pattern.startswith("*") and host.removeprefix("*").endswith(pattern[1:]))


def touches(one: str, other: str) -> bool:
    return covers(one, other) or covers(other, one)


def egress_of(world: World, proxy: Proxy, port: int) -> Thing | None:
    """The egress listener for a port, of the proxy's Sidecar, if it has one; else one that imports everything."""
    for listener in listeners_of(world, proxy) or EVERYTHING:
        if (listener.get("port") or {}).get("number") in (None, port):
            return listener
    return None


def listeners_of(world: World, proxy: Proxy) -> Sequence[Thing] | None:
    """The egress listeners of the proxy's Sidecar; nothing where none says what is known."""
    chosen: list[tuple[int, str, str, Thing]] = []
    for one in world.sidecars:
        meta, selector = one["metadata"], one["spec"].get("workloadSelector")
        wanted = ((selector or {}).get("labels") or {}).items()
        if meta["namespace"] == proxy.namespace and wanted <= proxy.labels.items():
            near = 0 if selector is not None else 1
        elif meta["namespace"] == world.root and selector is None:
            near = 2
        else:
            continue
        chosen.append((near, meta["creationTimestamp"], meta["name"], one))
    return (min(chosen, key=lambda entry: entry[:3])[3]["spec"].get("egress") or None) if chosen else None


def imported(egress: Thing, proxy: Proxy, home: str, names: Sequence[str], *, both_ways: bool = True) -> bool:
    """Whether an egress listener imports an object of a namespace; of VirtualServices, wildcards count both ways."""
    for entry in egress["hosts"]:
        where, name = entry.split("/")
        there = where in ("*", home) or (where == "." and home == proxy.namespace)
        if there and any(touches(name, one) if both_ways else covers(name, one) for one in names):
            return True
    return False


def flat(vs: Thing, world: World) -> Iterator[Thing]:
    """One entry for each condition of each route."""
    for blocks, done in routes_of(vs, world):
        for block in blocks:
            yield {"if": block, "then": done}


def routes_of(vs: Thing, world: World) -> Iterator[tuple[list[Thing], Thing]]:
    """What each route asks for, one of it, and does; delegates in the place of the routes that name them."""
    home = vs["metadata"]["namespace"]
    for route in vs["spec"].get("http") or ():
        if "delegate" not in route:
            yield route.get("match") or [{}], then(route, home)
            continue
        for leaf in world.virtual_services:
            meta, spec = leaf["metadata"], leaf["spec"]
            wanted = (route["delegate"]["name"], route["delegate"].get("namespace") or home)
            if spec.get("hosts") or (meta["name"], meta["namespace"]) != wanted:
                continue
            if shown(spec.get("exportTo") or world.default, meta["namespace"], home) is None:
                continue
            for inner in spec.get("http") or ():
                taken = {key: route[key] for key in ("fault", "timeout") if key in route and key not in inner}
                blocks = joined(route.get("match") or [], inner.get("match") or [])
                yield blocks, then({**inner, **taken}, meta["namespace"])


def clusters(world: World, proxy: Proxy) -> set[str] | None:
    """The services that a sidecar with a Sidecar knows how to reach; nothing where it has none and knows all.

    Those that it imports, and those to which routes lead that are not for other namespaces only, by any of their conditions
    (istiod collectImportedServices, virtualServiceDestinationsFilteredBySourceNamespace).
    """
    listeners = listeners_of(world, proxy)
    if listeners is None:
        return None
    found = {one.host for egress in listeners for one in services_of(world, proxy, egress)}
    for vs in considered(world, proxy):
        if any(imported(one, proxy, vs["metadata"]["namespace"], names_of(vs)) for one in listeners):
            for blocks, done in routes_of(vs, world):
                callers = {block["sourceNamespace"] for block in blocks if block.get("sourceNamespace")}
                found.update(done["to"] if not callers or proxy.namespace in callers else ())
    return found


def joined(root: Sequence[Thing], leaf: Sequence[Thing]) -> list[Thing]:
    """What a route of a delegate asks for; nothing where one of its conditions is no part of any of the root's."""
    if not root or not leaf:
        return list(root or leaf or [{}])
    pairs = [(one, two) for two in leaf for one in root if not clash(one, two)]
    if {id(two) for _, two in pairs} != {id(two) for two in leaf}:
        return []
    maps = ("headers", "sourceLabels")
    return [
        {**one, **two, **{key: {**one.get(key, {}), **two.get(key, {})} for key in maps if key in one or key in two}}
        for one, two in pairs
    ]


def clash(root: Thing, leaf: Thing) -> bool:
    """Whether istiod drops the pair: the leaf must ask for a part of what the root asks for."""
    if "uri" in root and "uri" in leaf and not leaf["uri"]["prefix"].startswith(root["uri"]["prefix"]):
        return True
    for key in ("headers", "sourceLabels"):
        theirs, own = root.get(key) or {}, leaf.get(key) or {}
        if any(name in theirs and theirs[name] != own[name] for name in own):
            return True
    if root.get("port") and leaf.get("port") and root["port"] != leaf["port"]:
        return True
    if root.get("sourceNamespace") and root["sourceNamespace"] != leaf.get("sourceNamespace"):
        return True
    return bool(root.get("gateways")) and not set(leaf.get("gateways") or ()) <= set(root["gateways"])


def then(route: Thing, home: str) -> Thing:
    hosts = [full(part["destination"]["host"], home) for part in route["route"]]
    done = {"to": hosts, "timeout": route.get("timeout", "")}
    return {**done, "fault": route["fault"]} if "fault" in route else done


def is_for(block: Thing, proxy: Proxy, acting: Sequence[str], port: int = 80) -> bool:
    if block.get("port") not in (None, port):
        return False
    if block.get("gateways"):
        return any(one in block["gateways"] for one in acting)
    if not (block.get("sourceLabels") or {}).items() <= proxy.labels.items():
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
) -> dict[Proxy, list[tuple[Done, Done]]]:
    """The proxies that do anything else with any request, and what they did and do now with each."""
    found = {}
    for proxy in proxies:
        was, now = behaviour(before, proxy, requests), behaviour(after, proxy, requests)
        if now != was:
            found[proxy] = list(zip(was, now, strict=True))
    return found


def differs_by(pairs: Iterable[tuple[Done, Done]], fault: Mapping[str, Any]) -> bool:
    """Whether a proxy does with each request what it did before, but for this fault."""
    added = json.dumps(fault, sort_keys=True)
    return all(one == two or (added, *one[1:]) == two for one, two in pairs)


def leaves(done: Iterable[Done], inside: Iterable[str]) -> bool:
    """Whether any of these goes on to a host that is no Service of these namespaces."""
    ends = tuple(f".{namespace}.svc.cluster.local" for namespace in inside)
    for _, where, _ in done:
        if where not in NO_HOSTS and any(not host.endswith(ends) for host in where.split(",")):
            return True
    return False
