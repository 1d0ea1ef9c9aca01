"""Does the fault take effect at all, beside other VirtualServices of its host? Fact 3: sidecars do not merge."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from chaos.istio.exports import export_of, reach
from chaos.istio.hosts import is_wildcard
from chaos.istio.virtual_services import hosts_of
from chaos.lint.rules.linted import Linted, bound_to_mesh
from chaos.lint.rules.manifest import UNKNOWN, Hit, Manifest, is_placeholder
from chaos.lint.rules.places import applied_together


def fault_does_not_compete(linted: Linted) -> Iterator[Hit]:
    """Of two VirtualServices that a proxy finds in the same place, it uses the older one alone."""
    sharing: dict[str, list[Manifest]] = {}
    for one in linted.virtual_services:
        if bound_to_mesh(one):
            for host in hosts_of(one.data):
                if not is_placeholder(host):
                    sharing.setdefault(host, []).append(one)
    faulty = {id(fault.manifest) for fault in linted.faults}
    told: set[tuple[int, int]] = set()
    for host, found in sharing.items():
        for one, other in combinations(found, 2):
            # Told at the one with the fault: it is what somebody will wonder about.
            first, second = (one, other) if id(other) in faulty else (other, one)
            pair = (id(first), id(second))
            if id(second) in faulty and pair not in told and _compete(first, second, host):
                told.add(pair)
                yield Hit(
                    manifest=second,
                    path=("spec", "hosts"),
                    message=f"{second.title} has a fault for {host!r}, and {first.title} has the same host: sidecars do not "
                    "merge them, so the older object governs and the other never takes effect",
                    hint='put the fault into a copy of the governing one with exportTo: ["."], as chaosctl plan does, '
                    "or merge the two",
                )


def _compete(one: Manifest, other: Manifest, host: str) -> bool:
    """Whether some proxy has both in the same bucket, and would have to choose by their age."""
    if UNKNOWN in (one.namespace, other.namespace) or (one.namespace, one.name) == (other.namespace, other.name):
        return False  # the same object twice is one object; which one an unnamed namespace is, is not known
    if not applied_together(one.segments, other.segments) or not (one.spec.get("http") and other.spec.get("http")):
        return False  # one without HTTP routes is passed over
    if _ports_of(one) and _ports_of(other) and not _ports_of(one) & _ports_of(other):
        return False
    # Of one wildcard the first alone counts, whether or not it has a route for the caller.
    if not is_wildcard(host) and (_selects_sources(one) or _selects_sources(other)):
        return False
    viewers = {one.namespace, other.namespace, *export_of(one.data), *export_of(other.data)} - {"*", ".", "~"}
    buckets = [(reach(one.data, viewer), reach(other.data, viewer)) for viewer in viewers]
    return any(mine is not None and mine == theirs for mine, theirs in buckets)


def _ports_of(one: Manifest) -> set[int]:
    """The only ports that its routes are for; empty for all."""
    blocks = [block for route in one.spec.get("http", ()) for block in route.get("match") or [{}]]
    ports = [block.get("port") for block in blocks]
    return {port for port in ports if isinstance(port, int)} if all(isinstance(port, int) for port in ports) else set()


def _selects_sources(one: Manifest) -> bool:
    """Whether every route is for some callers only: others then go on to the next VirtualService (istio/istio#39634)."""
    routes = one.spec.get("http", ())
    return bool(routes) and all(
        bool(route.get("match"))
        and all(block.get("sourceLabels") or block.get("sourceNamespace") for block in route["match"])
        for route in routes
    )
