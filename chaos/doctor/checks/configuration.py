"""Is Istio's configuration sound? The rules of ``chaosctl lint`` on what is there, and what only a cluster knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, warning
from chaos.istio.gateways import gateway_name, served_hosts, shared_hosts
from chaos.istio.hosts import resolve_host, service_of
from chaos.istio.virtual_services import MESH, gateways_of, http_routes, mirrors_of, sent_to, title
from chaos.lint.rules.finding import Severity
from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import manifest
from chaos.lint.rules.table import check

_NOT_HERE: Final = ("leftover-of-a-run", "fault-in-production-path")
"""Rules about repositories; what a run left in a mesh is told by another check."""
_KINDS: Final = ("VirtualService", "DestinationRule", "ServiceEntry", "Sidecar")


def configuration_is_sound(examined: Examined) -> Iterator[Finding]:
    """What lint would find in it if it were files."""
    objects = [
        *examined.namespaces.values(),
        *examined.services.values(),
        *(o for kind in _KINDS for o in examined.objects(kind)),
    ]
    manifests = [manifest(obj, document=number) for number, obj in enumerate(objects)]
    told = 0
    for rule, hit in check(Linted(manifests, examined.settings)):
        if rule.id in _NOT_HERE:
            continue
        told += 1
        say = error if rule.severity is Severity.ERROR else warning
        yield say(f"{hit.message} ({rule.id})", cause=rule.title, hint=hit.hint)
    if not told:
        yield ok(f"lint finds nothing in {sum(len(examined.objects(kind)) for kind in _KINDS)} objects")


def subsets_have_pods(examined: Examined) -> Iterator[Finding]:
    """A subset that selects no pod answers every request with 503; one that no route leads to waits for its version."""
    led_to = set(_subsets_led_to(examined))
    for rule in examined.objects("DestinationRule"):
        home = service_of(resolve_host(str(rule["spec"].get("host", "")), rule["metadata"]["namespace"]))
        if home is None or home[0] not in examined.namespaces:
            continue
        service = examined.services.get(resolve_host(rule["spec"]["host"], rule["metadata"]["namespace"]))
        selector = ((service or {}).get("spec") or {}).get("selector") or {}
        if not selector:
            continue
        for subset in rule["spec"].get("subsets") or ():
            wanted = {**selector, **(subset.get("labels") or {})}
            if not any(wanted.items() <= labels.items() for labels in _labels(examined, home[0])):
                say = error if (*home, subset["name"]) in led_to else warning
                yield say(
                    f"no pod of {home[0]}/{home[1]} has the labels of the subset {subset['name']!r} of DestinationRule "
                    f"{rule['metadata']['namespace']}/{rule['metadata']['name']}: a route to it is answered with 503",
                    cause="the labels are mistyped, or the version is not deployed",
                    hint=f"compare them: kubectl -n {home[0]} get pods --show-labels",
                )


def _subsets_led_to(examined: Examined) -> Iterator[tuple[str, str, str]]:
    """Namespace, Service and subset of every destination that gets requests."""
    for vs in examined.objects("VirtualService"):
        for route in http_routes(vs):
            for destination in (*sent_to(route), *mirrors_of(route)):
                home = service_of(resolve_host(str(destination.get("host", "")), vs["metadata"]["namespace"]))
                if home is not None and destination.get("subset"):
                    yield (*home, destination["subset"])


def _labels(examined: Examined, namespace: str) -> Iterator[Mapping[str, str]]:
    return ((pod["metadata"].get("labels") or {}) for pod in examined.pods[namespace])


def gateways_fit(examined: Examined) -> Iterator[Finding]:
    """A VirtualService at a gateway that is not there, or has none of its hosts, leaves callers with 404."""
    there = {title(obj): obj for obj in examined.objects("Gateway")}
    for vs in examined.objects("VirtualService"):
        home = vs["metadata"]["namespace"]
        for name in gateways_of(vs):
            where = gateway_name(name, home)
            namespace = where.partition("/")[0]
            if name == MESH or namespace not in examined.namespaces:
                continue
            told, cause = f"VirtualService {title(vs)}", "its hosts or gateways do not fit the Gateway"
            if where not in there:
                known = sorted(one.partition("/")[2] for one in there if one.partition("/")[0] == namespace)
                yield error(
                    f"{told} is bound to the gateway {name!r}, which is not there: callers from outside get 404",
                    cause=cause, hint=f"Gateways there: {', '.join(known) or 'none'}",
                )  # fmt: skip
                continue
            served = [
                host
                for server in there[where]["spec"].get("servers") or ()
                for host in served_hosts(server.get("hosts") or [], namespace)
            ]
            hosts = vs["spec"].get("hosts") or ()
            unserved = [host for host in hosts if not shared_hosts(served, [resolve_host(host, home)], home)]
            if MESH in gateways_of(vs) and len(unserved) < len(hosts):
                continue  # those are the names by which the mesh calls
            for host in unserved:
                yield error(
                    f"{told} has the host {host!r}, and the gateway {name!r} serves only {', '.join(served) or 'none'}: "
                    "callers from outside get 404",
                    cause=cause, hint="make the hosts of both agree",
                )  # fmt: skip
