"""What a sidecar does with a request: a model of Istio's rules that is written apart from the lab's translation.

It walks the objects for every request, where the lab builds tables. Sources: istiod SelectVirtualServices and
sortConfigByCreationTime (who governs), sourceMatchHTTP (source selectors), generateVirtualHostDomains (names), route.go
(matching, redirects), push_context.go destinationRule (which rule).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Thing = Mapping[str, Any]
PORT = 8080


@dataclass(frozen=True)
class Caller:
    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Request:
    host: str
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """``pods``: by registry host, the versions of what is behind it."""

    pods: Mapping[str, frozenset[str]]
    virtual_services: Sequence[Thing]
    destination_rules: Sequence[Thing]


def outcomes(world: World, caller: Caller, request: Request) -> set[str]:
    """Everything that may be seen: ``host version`` of an answer, a status, or a status with its Location."""
    host = named(request.host, caller.namespace, world.pods)
    if host is None:
        return {"502"}
    for vs in candidates(world.virtual_services, caller, host):
        blocks = [pair for pair in routes(vs) if for_caller(pair[1], caller)]
        if blocks:
            chosen = next((http for http, match in blocks if fits(match, request)), None)
            return {"404"} if chosen is None else done(chosen, vs["metadata"]["namespace"], world, caller, request)
    return reached(world, caller, host, None)


def named(text: str, namespace: str, known: Mapping[str, Any]) -> str | None:
    """The service that an application means by a name."""
    for host in known:
        name, home = host.split(".")[:2]
        if text in (host, f"{name}.{home}.svc", f"{name}.{home}") or (text == name and home == namespace):
            return host
    return None


def candidates(objects: Sequence[Thing], caller: Caller, host: str) -> Iterator[Thing]:
    """In the order in which they may govern: exact hosts before wildcards, the narrowest export, the oldest."""
    ranked = []
    for vs in objects:
        spec, meta = vs["spec"], vs["metadata"]
        if "mesh" not in (spec.get("gateways") or ["mesh"]):
            continue
        bucket = exported(spec.get("exportTo") or ["*"], meta["namespace"], caller.namespace)
        lengths = [
            10_000 if full == host else len(full)
            for full in (fqdn(one, meta["namespace"]) for one in spec["hosts"])
            if full == host or (full.startswith("*") and host.endswith(full[1:]))
        ]
        if bucket is not None and lengths:
            ranked.append((-max(lengths), bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], vs))
    return (entry[5] for entry in sorted(ranked, key=lambda entry: entry[:5]))


def exported(to: Sequence[str], owner: str, viewer: str) -> int | None:
    if "*" in to:
        return 2
    if "~" in to:
        return None
    names = {owner if one == "." else one for one in to}
    if viewer not in names:
        return None
    return 0 if names == {owner} else 1


def fqdn(host: str, namespace: str) -> str:
    return host if "." in host or "*" in host else f"{host}.{namespace}.svc.cluster.local"


def routes(vs: Thing) -> Iterator[tuple[Thing, Thing]]:
    for http in vs["spec"]["http"]:
        for match in http.get("match") or [{}]:
            yield http, match


def for_caller(match: Thing, caller: Caller) -> bool:
    if match.get("port") not in (None, PORT):
        return False
    if match.get("gateways"):
        return "mesh" in match["gateways"]
    wanted = match.get("sourceLabels") or {}
    if any(caller.labels.get(key) != value for key, value in wanted.items()):
        return False
    return match.get("sourceNamespace", caller.namespace) == caller.namespace


def fits(match: Thing, request: Request) -> bool:
    path = request.path
    uri = match.get("uri")
    if uri:
        fold = match.get("ignoreUriCase") and "regex" not in uri
        if not text_fits({k: v.lower() for k, v in uri.items()} if fold else uri, path.lower() if fold else path):
            return False
    for key, wanted in (match.get("headers") or {}).items():
        if key not in request.headers or not text_fits(wanted, request.headers[key]):
            return False
    for key, wanted in (match.get("withoutHeaders") or {}).items():
        if key in request.headers and text_fits(wanted, request.headers[key]):
            return False
    for key, wanted in (match.get("queryParams") or {}).items():
        if key not in request.query or not text_fits(wanted, request.query[key]):
            return False
    return not match.get("method") or text_fits(match["method"], request.method)


def text_fits(wanted: Mapping[str, str], text: str) -> bool:
    if "exact" in wanted:
        return text == wanted["exact"]
    if "prefix" in wanted:
        return text.startswith(wanted["prefix"])
    if "regex" in wanted:
        return re.fullmatch(wanted["regex"], text) is not None
    return True  # `{}`: it is there


def done(http: Thing, namespace: str, world: World, caller: Caller, request: Request) -> set[str]:
    if http.get("redirect"):
        to = http["redirect"]
        query = "&".join(f"{key}={value}" for key, value in request.query.items())
        where = f"http://{to.get('authority') or f'{request.host}:{PORT}'}{to.get('uri') or request.path}"
        return {f"{to.get('redirectCode', 301)} {where}{f'?{query}' if query else ''}"}
    if http.get("directResponse"):
        return {str(http["directResponse"]["status"])}
    abort = (http.get("fault") or {}).get("abort") or {}
    if (abort.get("percentage") or {}).get("value") == 100:
        return {str(abort["httpStatus"])}
    listed = http["route"]
    weighted = [one for one in listed if one.get("weight", 0) > 0] or listed[:1]
    seen: set[str] = set()
    for one in weighted:
        where = one["destination"]
        seen |= reached(world, caller, fqdn(where["host"], namespace), where.get("subset"))
    return seen


def reached(world: World, caller: Caller, host: str, subset: str | None) -> set[str]:
    versions = world.pods.get(host)
    if versions is None:
        return {"503"}
    if subset is not None:
        rule = rule_for(world.destination_rules, caller, host)
        labels = next(
            (one["labels"] for one in (rule or {"spec": {}})["spec"].get("subsets") or () if one["name"] == subset),
            None,
        )
        versions = frozenset() if labels is None else versions & {labels["version"]}
    return {f"{host} {version}" for version in versions} or {"503"}


def rule_for(rules: Sequence[Thing], caller: Caller, host: str) -> Thing | None:
    """The rule of the caller's own namespace, else the service's, else any that is exported."""
    home = host.split(".")[1]
    ranked = []
    for rule in rules:
        meta, spec = rule["metadata"], rule["spec"]
        owner = meta["namespace"]
        if (
            fqdn(spec["host"], owner) != host
            or exported(spec.get("exportTo") or ["*"], owner, caller.namespace) is None
        ):
            continue
        near = 0 if owner == caller.namespace else 1 if owner == home else 2
        ranked.append((near, meta["creationTimestamp"], meta["name"], owner, rule))
    return min(ranked, key=lambda entry: entry[:4])[4] if ranked else None
