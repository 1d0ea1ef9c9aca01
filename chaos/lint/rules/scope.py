"""Who could feel the fault that is committed here? Facts 2 and 4 of Istio's fault injection, and the folders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.istio.exports import export_of
from chaos.istio.gateways import gateway_name
from chaos.istio.hosts import service_of
from chaos.istio.virtual_services import bound_gateways, delegates_of, gateways_of, ignored_selectors
from chaos.lint.rules.linted import Fault, Linted, bound_to_mesh, resolved
from chaos.lint.rules.manifest import UNKNOWN, Hit, is_placeholder
from chaos.lint.rules.places import production_word, staging_word

SETTINGS: Final = "[tool.chaos] in pyproject.toml, or chaos.toml"
_ROOTS: Final = ("clusters",)
"""Folders of which GitOps agents apply everything, by the convention of Flux and Argo CD."""


def fault_is_in_staging(linted: Linted) -> Iterator[Hit]:
    """A fault belongs in a namespace that is known to be staging."""
    for fault in linted.faults:
        reason = linted.why_not_staging(fault.manifest.namespace)
        if reason is not None:
            nameless = fault.manifest.namespace == UNKNOWN
            yield fault.hit(
                f" has a fault ({fault.what}), and {reason}",
                "write metadata.namespace, lint rendered manifests (kustomize build … | chaosctl lint -), or give --namespace NAME"
                if nameless
                else f"delete the fault; if this really is a staging namespace, add it to namespaces in {SETTINGS}",
            )


def fault_is_not_deployed(linted: Linted) -> Iterator[Hit]:
    """No fault where production is kept, nor where an agent applies what is committed."""
    for fault in linted.first_faults:
        segments = fault.manifest.segments
        word = production_word(segments)
        reason = f"the path is for production ({word!r})" if word else _why_applied(linted, segments)
        if reason is not None:
            yield fault.hit(
                f" has a fault ({fault.what}), and {reason}",
                "delete it, and let an experiment inject it and restore: chaosctl run; "
                "a committed fault stays until somebody notices",
            )


def _why_applied(linted: Linted, segments: tuple[str, ...]) -> str | None:
    """Why the folder is one that an agent keeps applied; ``None`` where it is not, or plainly is staging's."""
    if staging_word(segments) is not None:
        return None
    folders = segments[:-1]
    for name in folders:
        if name.lower() in _ROOTS:
            return f"a GitOps agent applies what is in {name!r}"
    for folder, why in linted.synced_folders.items():
        if folders and folders[: len(folder)] == folder:
            return f"a GitOps agent applies what is in {'/'.join(folder) or 'the whole repository'!r}: {why}"
    for folder, why in linted.synced_paths.items():
        # Paths of an agent begin at its repository's root, which may be a folder further down here.
        if any(folders[begin : begin + len(folder)] == folder for begin in range(len(folders))):
            return f"a GitOps agent applies what is in {'/'.join(folder)!r}: {why}"
    return None


def fault_is_not_public(linted: Linted) -> Iterator[Hit]:
    """Only proxies of staging namespaces may see a fault; without ``exportTo`` every proxy of the mesh does."""
    for fault in linted.first_faults:
        one = fault.manifest
        own = one.spec.get("exportTo")
        for number, entry in enumerate(export_of(one.data)):
            if entry in (".", "~", one.namespace) or linted.is_staging(entry):
                continue
            hint = 'write exportTo: ["."], which limits it to callers of its own namespace'
            if own:
                message = f"{one.title} has a fault, and exportTo {entry!r} shows it to proxies outside staging"
                yield Hit(manifest=one, path=("spec", "exportTo", number), message=message, hint=hint)
            else:
                yield fault.hit(
                    " has a fault and no exportTo: every proxy of the mesh that calls its hosts gets it", hint
                )


def fault_governs_own_hosts(linted: Linted) -> Iterator[Hit]:
    """A fault is for Services of staging namespaces, each named for itself."""
    for fault in linted.first_faults:
        one = fault.manifest
        if not bound_to_mesh(one):
            continue  # a gateway's hosts are names of the outside
        for number, host in enumerate(one.spec.get("hosts", ())):
            problem = _foreign(linted, fault, host)
            if problem is not None:
                yield Hit(
                    manifest=one,
                    path=("spec", "hosts", number),
                    message=f"{one.title} has a fault for the host {host!r}: {problem}",
                    hint="list hosts of Services in its own staging namespace, by their short names or as NAME.NAMESPACE.svc.cluster.local",
                )


def _foreign(linted: Linted, fault: Fault, host: str) -> str | None:
    if is_placeholder(host):
        return "it is filled in later, so it may be any host"
    if "*" in host:
        return "a wildcard also covers Services that nobody meant"
    name = resolved(host, fault.manifest)
    service = service_of(name)
    if service is not None:
        namespace = service[0]
        if namespace == fault.manifest.namespace or linted.is_staging(namespace):
            return None  # that its own namespace is not staging is told by another rule
        return f"it is the Service {service[1]!r} of the namespace {namespace!r}, which is not known to be staging"
    if any(linted.is_staging(entry.namespace) for entry in linted.entries_for(name)):
        return None
    meant = literal(linted, name)
    if meant is not None and not linted.is_staging(meant[0]):
        return (
            f"requests to http://{name}/ are for the Service {meant[1]!r} of the namespace {meant[0]!r}, which is not known "
            "to be staging"
        )
    return None if meant is not None else "it is no Service of a staging namespace"


def fault_is_not_at_a_foreign_gateway(linted: Linted) -> Iterator[Hit]:
    """Who comes through a gateway that is not staging's own is not known to be staging."""
    for fault in linted.faults:
        one = fault.manifest
        for gateway in bound_gateways(one.data, [fault.route]):
            named = gateway if is_placeholder(gateway) else gateway_name(gateway, one.namespace)
            namespace = named.rpartition("/")[0] or one.namespace
            if namespace == one.namespace or linted.is_staging(namespace):
                continue
            yield fault.hit(
                f" has a fault at the gateway {gateway!r}: {linted.why_not_staging(namespace)}, "
                "and every request that enters there gets the fault",
                "put the fault on the Service behind the gateway, for another workload of staging as its caller",
            )


def fault_is_not_in_a_delegate(linted: Linted) -> Iterator[Hit]:
    """A fault in a delegate acts for every VirtualService that delegates to it, those of gateways included."""
    for fault in linted.first_faults:
        one = fault.manifest
        if one.spec.get("hosts") or not one.name:
            continue
        users = [root for root in linted.virtual_services if (one.namespace, one.name) in delegates_of(root.data)]
        roots = sorted({f"{root.title} ({', '.join(gateways_of(root.data))})" for root in users})
        yield fault.hit(
            " has a fault and no hosts: as a delegate it acts in every root that delegates to it"
            f" (here: {'; '.join(roots) or 'none is linted'})",
            "put the fault into the VirtualService that has the hosts",
        )


def source_selectors_count(linted: Linted) -> Iterator[Hit]:
    """Beside ``gateways``, istiod ignores ``sourceLabels`` and ``sourceNamespace`` of a match block."""
    for fault in linted.first_faults:
        one = fault.manifest
        for index, route in enumerate(one.spec["http"]):
            for number, block in enumerate(route.get("match", ())):
                ignored = ignored_selectors(block)
                if ignored:
                    yield Hit(
                        manifest=one,
                        path=("spec", "http", index, "match", number, ignored[0]),
                        message=f"{one.title}: {' and '.join(ignored)} beside gateways {block['gateways']} in one match block:"
                        " istiod ignores the source, so every caller matches",
                        hint="delete gateways from this match block (write it once for the whole VirtualService)",
                    )


def literal(linted: Linted, host: str) -> tuple[str, str] | None:
    """``(namespace, name)`` of the Service that a host such as ``ratings.staging`` means, which istiod takes as it is.

    As far as its form tells; ``None`` where it may be somebody's own name.
    """
    if service_of(host) is not None or linted.entries_for(host) or is_placeholder(host) or "*" in host:
        return None
    name, _, rest = host.partition(".")
    namespace = rest.removesuffix(".svc")
    known = namespace in linted.namespaces or linted.settings.lists(namespace)
    return (namespace, name) if "." not in namespace and (known or rest.endswith(".svc")) else None
