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


def candidates(objects: Sequence[Thing], caller: Caller, host: str) -> list[Thing]:
    """In the order in which they may govern: the narrowest export, the oldest.

    Where one names the host itself, no wildcard counts; else only the first of the longest one does.
    """
    ranked = []
    for vs in objects:
        meta = vs["metadata"]
        bucket = exported(vs["spec"].get("exportTo") or ["*"], meta["namespace"], caller.namespace)
        if bucket is not None and "mesh" in (vs["spec"].get("gateways") or ["mesh"]):
            ranked.append((bucket, meta["creationTimestamp"], meta["name"], meta["namespace"], vs))
    named_by: dict[str, list[Thing]] = {}
    for *_, vs in sorted(ranked, key=lambda entry: entry[:4]):
        for one in vs["spec"]["hosts"]:
            named_by.setdefault(fqdn(one, vs["metadata"]["namespace"]), []).append(vs)
    if host in named_by:
        return named_by[host]
    wild = [one for one in named_by if one.startswith("*") and host.endswith(one[1:])]
    return named_by[max(wild, key=len)][:1] if wild else []


def exported(to: Sequence[str], owner: str, viewer: str) -> int | None:
    if "*" in to:
        return 2
    if "~" in to:
        return None
    if viewer not in {owner if one == "." else one for one in to}:
        return None
    return 0 if viewer == owner else 1


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
    return bool(match.get("sourceNamespace", caller.namespace) == caller.namespace)


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
    """The rule of the caller's own namespace, else the one that the service's exports; none of any other."""
    home = host.split(".")[1]
    own = joined(rules, caller.namespace, host, own=True)
    there = [one for one in joined(rules, home, host, own=False) if not one[0] or one[0] & {"*", caller.namespace}]
    return next((found[-1][1] for found in (own, there) if found), None)


def joined(rules: Sequence[Thing], owner: str, host: str, *, own: bool) -> list[tuple[set[str], Thing]]:
    """A namespace's rules for a host, with whom they are for: those of older ones take the subsets that they lack.

    istiod mergeDestinationRule: where they are for the same, or the older one for fewer.
    """
    found: list[tuple[set[str], Thing]] = []
    for rule in sorted(rules, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"])):
        to = set(rule["spec"].get("exportTo") or ())
        private = len(to) == 1 and bool(to & {".", owner})
        if rule["metadata"]["namespace"] != owner or fqdn(rule["spec"]["host"], owner) != host:
            continue
        if (not to or to & {"*", ".", owner}) if own else not private:
            fitting = [at for at, (older, _) in enumerate(found) if older == to or (older and older < to)]
            for at in fitting:
                subsets = found[at][1]["spec"].get("subsets") or ()
                names = {one["name"] for one in subsets}
                more = [one for one in rule["spec"].get("subsets") or () if one["name"] not in names]
                found[at] = (found[at][0], {**found[at][1], "spec": {"subsets": [*subsets, *more]}})
            if not fitting:
                found.append((to, rule))
    return found
