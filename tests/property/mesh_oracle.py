"""Whose requests would change: by brute force over every caller and request, written apart from the code that it judges.

Sources: istiod SelectVirtualServices and sortConfigByCreationTime (order), buildSidecarVirtualHostsForVirtualService (a
VirtualService without a route for the proxy is skipped), sourceMatchHTTP (gateways in a match silence source selectors),
gateway.go (routes of all bound VirtualServices are appended).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VS = Mapping[str, Any]
SHARED = "istio-system/shared"


@dataclass(frozen=True)
class Proxy:
    namespace: str
    app: str
    gateway: bool = False


@dataclass(frozen=True)
class Request:
    host: str
    path: str
    user: str = ""


def outcome(objects: Sequence[VS], proxy: Proxy, request: Request, services: Iterable[str]) -> str:
    """What a proxy does with a request, in a form that two can be compared by."""
    if proxy.gateway:
        return at_gateway(objects, proxy, request)
    rank: list[tuple[int, int, str, str, str, VS]] = []
    for vs in objects:
        spec, meta = vs["spec"], vs["metadata"]
        if "mesh" not in (spec.get("gateways") or ["mesh"]):
            continue
        bucket = seen_as(spec.get("exportTo") or ["*"], meta["namespace"], proxy.namespace)
        fit = fitting(spec["hosts"], meta["namespace"], request.host)
        if bucket is not None and fit is not None:
            rank.append((-fit, bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], vs))
    for *_, vs in sorted(rank, key=lambda entry: entry[:5]):
        own = [route for route in vs["spec"]["http"] if for_proxy(route, proxy, "mesh")]
        if own:
            return answer(own, proxy, request, "mesh", vs["metadata"]["namespace"])
    return f"to {request.host}" if request.host in services else "502"


def seen_as(export: Sequence[str], owner: str, viewer: str) -> int | None:
    """0 private, 1 exported to the viewer, 2 public; nothing: unseen."""
    if "*" in export:
        return 2
    if "~" in export:
        return None
    names = {owner if entry == "." else entry for entry in export}
    if viewer not in names:
        return None
    return 0 if names == {owner} else 1


def fitting(hosts: Sequence[str], owner: str, host: str) -> int | None:
    """How exactly the hosts cover one: a whole name beats any wildcard, a longer wildcard a shorter one."""
    best: int | None = None
    for entry in hosts:
        full = entry if "." in entry or "*" in entry else f"{entry}.{owner}.svc.cluster.local"
        if full == host:
            return 10_000
        if full.startswith("*") and host.endswith(full[1:]):
            best = max(best or 0, len(full))
    return best


def for_proxy(route: Mapping[str, Any], proxy: Proxy, acting: str) -> bool:
    return not route.get("match") or any(block_for(block, proxy, acting) for block in route["match"])


def block_for(block: Mapping[str, Any], proxy: Proxy, acting: str) -> bool:
    if block.get("gateways"):
        return acting in block["gateways"]
    if block.get("sourceLabels", {"app": proxy.app}) != {"app": proxy.app}:
        return False
    return bool(block.get("sourceNamespace", proxy.namespace) == proxy.namespace)


def answer(routes: Sequence[Mapping[str, Any]], proxy: Proxy, request: Request, acting: str, owner: str) -> str:
    for route in routes:
        blocks = [block for block in route.get("match") or [{}] if not block or block_for(block, proxy, acting)]
        for block in blocks:
            path = block.get("uri", {}).get("prefix", "/")
            user = block.get("headers", {}).get("x-user", {}).get("exact")
            run = block.get("headers", {}).get("x-chaos-run")
            if request.path.startswith(path) and user in (None, request.user) and run is None:
                hosts = [part["destination"]["host"] for part in route["route"]]
                full = [h if "." in h else f"{h}.{owner}.svc.cluster.local" for h in hosts]
                return json.dumps([route.get("fault"), full, route.get("timeout")], sort_keys=True)
    return "404"


def at_gateway(objects: Sequence[VS], proxy: Proxy, request: Request) -> str:
    bound = [vs for vs in objects if SHARED in (vs["spec"].get("gateways") or [])]
    for vs in sorted(bound, key=lambda vs: (vs["metadata"]["creationTimestamp"], vs["metadata"]["name"])):
        if fitting(vs["spec"]["hosts"], vs["metadata"]["namespace"], request.host) is None:
            continue
        own = [route for route in vs["spec"]["http"] if for_proxy(route, proxy, SHARED)]
        found = answer(own, proxy, request, SHARED, vs["metadata"]["namespace"])
        if found != "404":
            return found
    return "404"


def leads_out(
    objects: Sequence[VS], proxy: Proxy, requests: Sequence[Request], services: Sequence[str], inside: str
) -> bool:
    """Whether a proxy sends any of these requests to a host outside a namespace."""
    for request in requests:
        done = outcome(objects, proxy, request, services)
        hosts = (
            json.loads(done)[1]
            if done.startswith("[")
            else [done.removeprefix("to ")]
            if done.startswith("to ")
            else []
        )
        if any(not host.endswith(f".{inside}.svc.cluster.local") for host in hosts):
            return True
    return False


def changed(
    before: Sequence[VS],
    after: Sequence[VS],
    proxies: Sequence[Proxy],
    requests: Sequence[Request],
    services: Sequence[str],
) -> set[Proxy]:
    """The proxies that do anything else with any request."""
    return {
        proxy
        for proxy in proxies
        if any(outcome(before, proxy, one, services) != outcome(after, proxy, one, services) for one in requests)
    }
