"""Do the hosts and destinations stay inside staging, as Istio resolves them?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from chaos.guard.draft import Draft
from chaos.istio.hosts import resolve_host, service_fqdn, service_of
from chaos.istio.ports import declared_protocol
from chaos.istio.registry import alias_of
from chaos.istio.routing import followed
from chaos.istio.virtual_services import destinations_of
from chaos.model.situation import services_right
from chaos.values.remarks import Refusal


def target_exists(draft: Draft) -> Iterator[Refusal]:
    """The target is a Service; a VirtualService for a host that does not exist would silently do nothing."""
    target = draft.experiment.target
    if (
        draft.situation.service(target.namespace, target.service) is None
        and target.namespace in draft.situation.namespaces
        and services_right(target.namespace) not in draft.situation.unreadable
    ):
        yield Refusal(
            rule="service-not-found",
            value=service_fqdn(target.service, target.namespace),
            message=f"there is no Service {target.service!r} in namespace {target.namespace!r}",
            hint=there_are(draft.situation.names_in(target.namespace), target.service),
        )


def there_are(names: Iterable[str], wanted: str) -> str:
    """The Services that exist instead of one that does not, those with the nearest names first."""

    def likeness(name: str) -> float:
        return SequenceMatcher(None, wanted, name).ratio()

    known = sorted(sorted(names), key=likeness, reverse=True)
    return f"Services there: {', '.join(known) or 'none'}"


def target_speaks_http(draft: Draft) -> Iterator[Refusal]:
    """A fault exists only for HTTP; a port that is declared as anything else never feels it."""
    target = draft.experiment.target
    service = draft.situation.service(target.namespace, target.service)
    if service is None:
        return
    protocols = [declared_protocol(port) for port in service.get("spec", {}).get("ports") or ()]
    if not draft.situation.ports_of(service_fqdn(target.service, target.namespace)) and not alias_of(service):
        yield Refusal(
            rule="port-not-http",
            value=target.service,
            message=f"no port of {target.service!r} is declared as HTTP: {', '.join(map(str, protocols)) or 'it has no ports'}",
            hint="name the port http-… or grpc-…, or set appProtocol; Istio has no faults for TCP and TLS",
        )
    for kind in draft.experiment.kinds:
        unfit = kind.unfit_for(protocols, target.service)
        if unfit is not None:
            yield unfit


def hosts_stay_inside(draft: Draft) -> Iterator[Refusal]:
    """Every host that the object would govern is a Service of an allowed namespace."""
    for host in draft.governed:
        if draft.leaves_staging(host):
            yield Refusal(
                rule="host-outside",
                value=host,
                message=f"the object would govern {host!r}, which is no Service of an allowed namespace",
                hint="an experiment may only govern Services of its own staging namespace",
            )


def only_the_target_is_governed(draft: Draft) -> Iterator[Refusal]:
    """The object governs the declared target and no other service, in staging or not."""
    target = service_fqdn(draft.experiment.target.service, draft.namespace)
    for host in draft.governed:
        if host != target:
            yield Refusal(
                rule="host-not-target",
                value=host,
                message=f"the object would govern {host!r}, and the declared target is {target!r}",
                hint="an experiment may only inject a fault into its own target",
            )


def target_is_no_alias(draft: Draft) -> Iterator[Refusal]:
    """The target is no ExternalName, which Istio takes for another name of what it leads to (from 1.21 on)."""
    target = draft.experiment.target
    service = draft.situation.service(target.namespace, target.service)
    leads_to = alias_of(service)
    if leads_to:
        yield Refusal(
            rule="target-is-alias",
            value=leads_to,
            message=f"{target.service!r} is an ExternalName for {leads_to!r}: the fault would have no effect, or hit that host",
            hint="choose the Service behind it as the target, if that is in a staging namespace",
        )


def destinations_stay_inside(draft: Draft) -> Iterator[Refusal]:
    """Routes that anybody in staging can follow lead only to Services of allowed namespaces."""
    if draft.injection is None:
        return
    owner = draft.injection.namespace
    seen = set()
    routes = draft.injection.after["spec"].get("http") or ()
    if draft.audience is not None and set(draft.audience.exported) <= {owner}:  # otherwise, others' routes count
        routes = list(followed(routes, owner))
    for route in routes:
        for destination in destinations_of(route):
            host = resolve_host(destination["host"], owner)
            service = service_of(host)
            inside = not draft.leaves_staging(host)
            alias = alias_of(draft.situation.service(*service)) if inside and service is not None else ""
            if host in seen or (inside and not alias):
                continue
            seen.add(host)
            yield Refusal(
                rule="destination-outside",
                value=host,
                message=f"a route leads to {host!r}, which is "
                + (f"an ExternalName for {alias!r}" if alias else "no Service of an allowed namespace"),
                hint="the VirtualService that governs the target sends requests out of staging, where the fault could hit others: correct it first",
            )
