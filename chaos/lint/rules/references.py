"""Does what a VirtualService names exist? Only said where enough is linted to know."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.istio.hosts import service_fqdn, service_of
from chaos.lint.rules.linted import Linted, bound_to_mesh, destinations, resolved
from chaos.lint.rules.manifest import UNKNOWN, Hit, Manifest, Path, is_placeholder
from chaos.lint.rules.scope import literal


def hosts_match_something(linted: Linted) -> Iterator[Hit]:
    """Every host and destination is a Service or ServiceEntry that the VirtualService's callers see."""
    for one in linted.virtual_services:
        named: list[tuple[Path, str]] = []
        if bound_to_mesh(one):
            named += [(("spec", "hosts", number), host) for number, host in enumerate(one.spec.get("hosts", ()))]
        named += [((*path, "host"), part.get("host", "")) for path, part in destinations(one)]
        told: set[str] = set()
        for path, host in named:
            # The same host is told once, where it is named first.
            if host and host not in told and not is_placeholder(host):
                problem = _problem(linted, one, host, governed=path[1] == "hosts")
                if problem is not None:
                    told.add(host)
                    yield Hit(
                        manifest=one,
                        path=path,
                        message=f"{one.title} names the host {host!r}: {problem[0]}",
                        hint=problem[1],
                    )


def hosts_are_whole(linted: Linted) -> Iterator[Hit]:
    """A host such as ``ratings.staging`` governs requests by that very name, and none of the Service's others."""
    for one in linted.virtual_services:
        for number, host in enumerate(one.spec.get("hosts", ()) if bound_to_mesh(one) else ()):
            meant = literal(linted, resolved(host, one))
            if meant is not None:
                yield Hit(
                    manifest=one,
                    path=("spec", "hosts", number),
                    message=f"{one.title} names the host {host!r}, which Istio takes literally: requests to http://{host}/ on port 80 "
                    f"follow it, but requests to the Service {meant[1]!r} by its other names or ports do not",
                    hint=f"write {service_fqdn(meant[1], meant[0])}",
                )


def _problem(linted: Linted, one: Manifest, host: str, *, governed: bool) -> tuple[str, str] | None:
    name = resolved(host, one)
    meant = literal(linted, name)
    if meant is not None:
        if governed:
            return None  # told by host-taken-literally
        return (
            f"Istio takes a name with a dot literally, so this is not the Service {meant[1]!r} of the namespace {meant[0]!r}: "
            "Envoy answers every such request with 503",
            f"write {service_fqdn(meant[1], meant[0])}",
        )
    providers = (*linted.services_for(name), *linted.entries_for(name))
    named = service_of(name)
    if not providers:
        if named is None or "*" in host or not linted.knows_services_of(named[0], one):
            return None
        known = sorted(
            {found.name for ones in linted.services.values() for found in ones if found.namespace == named[0]}
        )
        where = f"the namespace {named[0]!r}" if named[0] != UNKNOWN else "the files beside it"
        return (
            f"no Service of that name is in {where}, and no ServiceEntry has it; routes for it silently do nothing",
            f"Services there: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}",
        )
    if bound_to_mesh(one) and not any(linted.visible_from(one.namespace, provider) for provider in providers):
        return (
            f"{providers[0].title} has it, but proxies of {one.namespace!r} do not see that object",
            "check its exportTo, and the Sidecar of the namespace",
        )
    return None


def subsets_are_defined(linted: Linted) -> Iterator[Hit]:
    """A subset that no DestinationRule defines answers every request with 503."""
    for one in linted.virtual_services:
        told: set[tuple[str, str]] = set()
        for path, part in destinations(one):
            host, subset = part.get("host", ""), part.get("subset", "")
            if not host or not subset or (host, subset) in told or is_placeholder(host) or is_placeholder(subset):
                continue
            name = resolved(host, one)
            rules = linted.rules_for(name)
            subsets = [own["name"] for rule in rules for own in rule.spec.get("subsets", ()) if own.get("name")]
            if subset in subsets or any(map(is_placeholder, subsets)):
                continue
            named = service_of(name)
            if not rules and (named is None or not linted.knows_services_of(named[0], one)):
                continue
            told.add((host, subset))
            defined = ", ".join(sorted(set(subsets))) or "none"
            yield Hit(
                manifest=one,
                path=(*path, "subset"),
                message=f"{one.title} sends to the subset {subset!r} of {host!r}, which no DestinationRule defines: "
                "Envoy answers every such request with 503",
                hint=f"define it, and apply the DestinationRule first (defined for this host: {defined})"
                if rules
                else f"no DestinationRule for {host!r} is linted",
            )
