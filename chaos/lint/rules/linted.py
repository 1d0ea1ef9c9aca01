"""Everything that is linted, with what several rules ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar

from chaos.faults.fault import FILTER_KINDS
from chaos.faults.kind import FilterKind
from chaos.guard.draft import missing_labels
from chaos.istio.exports import export_of, export_of_service, reach_of
from chaos.istio.hosts import host_matches, resolve_host, service_fqdn, service_of
from chaos.istio.sidecars import imports_of, listeners_of, selected_by
from chaos.istio.virtual_services import MESH, gateways_of
from chaos.lint.rules.manifest import ISTIO, UNKNOWN, Hit, Manifest, Path, is_placeholder
from chaos.model.settings import Settings

T = TypeVar("T")
ByHost = tuple[Mapping[str, tuple[Manifest, ...]], tuple[tuple[str, Manifest], ...]]
"""What has an exact host, by it; and what has a wildcard, or a host that is filled in later."""
_ARGO: Final = "argoproj.io"
_FLUX: Final = "kustomize.toolkit.fluxcd.io"
_HELM: Final = "helm.toolkit.fluxcd.io"
_AGENTS: Final = (
    ("Application", _ARGO), ("ApplicationSet", _ARGO), ("Kustomization", _FLUX), ("HelmRelease", _HELM),
    ("GitRepository", "source.toolkit.fluxcd.io"),
)  # fmt: skip


class Fault:
    """A route of a VirtualService that has a fault."""

    def __init__(self, manifest: Manifest, index: int, route: Mapping[str, Any]) -> None:
        self.manifest = manifest
        self.route = route
        self._path: Path = ("spec", "http", index, "fault")
        self.block: Mapping[str, Any] = route["fault"]

    def hit(self, message: str, hint: str, *path: str) -> Hit:
        """Something is wrong with it, or at a path inside it; the message goes on where the object's title ends."""
        return Hit(
            manifest=self.manifest, path=(*self._path, *path), message=f"{self.manifest.title}{message}", hint=hint
        )

    @property
    def what(self) -> str:
        """What it does, in a few words: ``abort 503 for 50 %``."""
        parts = [_told(kind, self.block[kind.key]) for kind in FILTER_KINDS if self.block.get(kind.key) is not None]
        return " and ".join(parts) or "an empty fault"


def _told(kind: type[FilterKind], part: Mapping[str, Any]) -> str:
    effect = next((f" {part[field]}" for field in kind.effects if part.get(field) is not None), "")
    return f"{kind.key}{effect}{_share(part)}"


def _share(part: Mapping[str, Any]) -> str:
    value = (part.get("percentage") or {}).get("value")
    return "" if value is None else f" for {value:g} %" if isinstance(value, int | float) else f" for {value}"


class Linted:
    """All objects of a lint, by what they are; the settings say which namespaces are staging."""

    def __init__(self, manifests: Sequence[Manifest], settings: Settings) -> None:
        self.manifests = tuple(manifests)
        self.settings = settings

    def _of(self, kind: str, group: str = ISTIO) -> tuple[Manifest, ...]:
        return tuple(one for one in self.manifests if one.is_a(kind, group))

    @cached_property
    def virtual_services(self) -> tuple[Manifest, ...]:
        """The VirtualServices."""
        return self._of("VirtualService")

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """Every route with a fault."""
        return tuple(
            Fault(one, index, route)
            for one in self.virtual_services
            for index, route in enumerate(one.spec.get("http", ()))
            if route.get("fault") is not None
        )

    @cached_property
    def first_faults(self) -> tuple[Fault, ...]:
        """The first fault of each VirtualService that has any."""
        return tuple({id(fault.manifest): fault for fault in reversed(self.faults)}.values())[::-1]

    @cached_property
    def destination_rules(self) -> tuple[Manifest, ...]:
        """The DestinationRules."""
        return self._of("DestinationRule")

    @cached_property
    def service_entries(self) -> tuple[Manifest, ...]:
        """The ServiceEntries."""
        return self._of("ServiceEntry")

    @cached_property
    def services(self) -> Mapping[str, tuple[Manifest, ...]]:
        """The Services, by registry name; more than one where several folders have the same."""
        return _grouped((service_fqdn(one.name, one.namespace), one) for one in self._of("Service", ""))

    @cached_property
    def services_by_name(self) -> Mapping[str, tuple[Manifest, ...]]:
        """The Services, by their name alone."""
        return _grouped((one.name, one) for found in self.services.values() for one in found)

    @cached_property
    def service_namespaces(self) -> frozenset[str]:
        """The namespaces of which there are Services."""
        return frozenset(one.namespace for found in self.services.values() for one in found)

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """Every namespace that is named, by an object in it or by a manifest of itself."""
        named = {one.namespace for one in self.manifests} | {one.name for one in self._of("Namespace", "")}
        return frozenset(named - {UNKNOWN})

    @cached_property
    def _unlabelled(self) -> Mapping[str, str]:
        """Namespaces whose manifest is here and lacks a staging label, with what it lacks."""
        missing = {one.name: missing_labels(one.data, self.settings) for one in self._of("Namespace", "")}
        return {
            name: ", ".join(f"{key}={value}" for key, value in lacks.items())
            for name, lacks in missing.items()
            if lacks
        }

    def why_not_staging(self, namespace: str) -> str | None:
        """Why a namespace is not known to be staging; ``None`` where it is.

        As for a run: it is on the list of the settings, it is not the mesh's root, and where its manifest is among what
        is linted, that carries the staging labels.
        """
        if namespace == UNKNOWN:
            return "it has no namespace, so it may be applied to any"
        if namespace == self.settings.root_namespace:
            return f"{namespace!r} is the mesh's root namespace"
        if not self.settings.lists(namespace):
            allowed = ", ".join(self.settings.namespaces) or "none"
            return f"{namespace!r} is not a staging namespace of the settings (those are: {allowed})"
        if namespace in self._unlabelled:
            return f"the manifest of the namespace {namespace!r} lacks the staging label {self._unlabelled[namespace]}"
        return None

    def is_staging(self, namespace: str) -> bool:
        """Whether a namespace is known to be staging."""
        return self.why_not_staging(namespace) is None

    # --- who applies what ----------------------------------------------------------------------------------------------

    @cached_property
    def synced_folders(self) -> Mapping[tuple[str, ...], str]:
        """Folders in which a GitOps agent's own objects stand, with which one."""
        agents = (one for one in self.manifests if self._is_agents(one) and one.segments)
        return {one.segments[:-1]: f"{one.title} is there" for one in agents}

    @cached_property
    def synced_paths(self) -> Mapping[tuple[str, ...], str]:
        """Folders that a GitOps agent is told to apply, from the root of its repository, with what says so."""
        found: dict[tuple[str, ...], str] = {}
        for one in self.manifests:
            if self._is_agents(one):
                for source in (one.spec.get("source") or {}, *one.spec.get("sources", ()), one.spec):
                    path = source.get("path")
                    pointed = tuple(part for part in str(path or "").split("/") if part not in ("", "."))
                    if pointed and not is_placeholder(path):
                        found[pointed] = f"{one.title} applies it"
        return found

    @staticmethod
    def _is_agents(one: Manifest) -> bool:
        return any(one.is_a(kind, group) for kind, group in _AGENTS)

    @cached_property
    def filled_from_elsewhere(self) -> frozenset[str]:
        """Namespaces into which an agent puts objects that are not among what is linted, such as a chart's."""
        found = set()
        for one in self.manifests:
            if one.is_a("HelmRelease", _HELM) or one.is_a("Kustomization", _FLUX):
                found.add(one.spec.get("targetNamespace") or one.namespace)
            elif one.is_a("Application", _ARGO):
                found.add((one.spec.get("destination") or {}).get("namespace", UNKNOWN))
        return frozenset(found)

    # --- hosts -----------------------------------------------------------------------------------------------------------

    def knows_services_of(self, namespace: str, asker: Manifest) -> bool:
        """Whether enough is linted to say that a name of this namespace is nobody's.

        Where no namespace is said, only what is beside the asking object may be taken for its own.
        """
        if namespace in self.filled_from_elsewhere or namespace == self.settings.root_namespace:
            return False  # Istio's own installation fills the root
        if namespace != UNKNOWN:
            return namespace in self.service_namespaces
        return not self._nameless_places.isdisjoint(_places(asker))

    @cached_property
    def _nameless_places(self) -> frozenset[object]:
        """Where Services stand that do not say their namespace."""
        nameless = (one for found in self.services.values() for one in found if one.namespace == UNKNOWN)
        return frozenset(place for one in nameless for place in _places(one))

    def services_for(self, host: str) -> tuple[Manifest, ...]:
        """The Services that a resolved host may mean; a wildcard's are all that it covers."""
        if "*" in host:
            return tuple(one for name, found in self.services.items() if host_matches(host, name) for one in found)
        named = service_of(host)
        if named is None:
            return ()
        namespace, name = named
        if namespace == UNKNOWN:
            return self.services_by_name.get(name, ())
        return (*self.services.get(host, ()), *self.services.get(service_fqdn(name, UNKNOWN), ()))

    def entries_for(self, host: str) -> tuple[Manifest, ...]:
        """The ServiceEntries that declare a resolved host."""
        exact, patterns = self._entries
        if "*" in host:
            patterns = (*patterns, *((own, one) for own, found in exact.items() for one in found))
        return (
            *exact.get(host, ()),
            *(
                one
                for own, one in patterns
                if is_placeholder(own) or host_matches(own, host) or (host != own and host_matches(host, own))
            ),
        )

    @cached_property
    def _entries(self) -> ByHost:
        return _by_host((own, one) for one in self.service_entries for own in one.spec.get("hosts", ()))

    def visible_from(self, namespace: str, provider: Manifest) -> bool:
        """Whether proxies of a namespace see a Service or ServiceEntry, by its ``exportTo`` and their Sidecar."""
        if UNKNOWN in (namespace, provider.namespace):
            return True
        export = (export_of_service if provider.is_a("Service", "") else export_of)(provider.data)
        seen = reach_of(export, provider.namespace, namespace) is not None
        return seen and self._admitted(namespace, provider)

    def _admitted(self, namespace: str, provider: Manifest) -> bool:
        """Whether the Sidecar of a namespace's proxies, if exactly one is for all of them, admits a provider."""
        sidecars = [one.data for one in self._sidecars.get(namespace, ()) if not selected_by(one.data)]
        if len(sidecars) != 1:
            return True
        hosts = provider.spec.get("hosts") or [service_fqdn(provider.name, provider.namespace)]
        return any(
            any(map(is_placeholder, listener.get("hosts", ())))
            or any(imports_of(listener, namespace).service(provider.namespace, host) for host in hosts)
            for listener in listeners_of(sidecars[0])
        )

    @cached_property
    def _sidecars(self) -> Mapping[str, tuple[Manifest, ...]]:
        return _grouped((one.namespace, one) for one in self._of("Sidecar"))

    # --- subsets ---------------------------------------------------------------------------------------------------------

    def rules_for(self, host: str) -> tuple[Manifest, ...]:
        """The DestinationRules that may be for a resolved host."""
        exact, patterns = self._rules
        found = (
            *exact.get(host, ()),
            *(one for own, one in patterns if is_placeholder(own) or host_matches(own, host)),
        )
        named = service_of(host)
        if named is None:
            return found
        namespace, name = named
        if namespace == UNKNOWN:
            return (*found, *(one for own, one in self._rules_by_name.get(name, ()) if own != host))
        return (*found, *exact.get(service_fqdn(name, UNKNOWN), ()))

    @cached_property
    def _rules(self) -> ByHost:
        return _by_host((resolved(one.spec.get("host", ""), one), one) for one in self.destination_rules)

    @cached_property
    def _rules_by_name(self) -> Mapping[str, tuple[tuple[str, Manifest], ...]]:
        """DestinationRules for Services, by the Service's name alone."""
        exact, _ = self._rules
        pairs = ((service_of(host), host, one) for host, found in exact.items() for one in found)
        return _grouped((named[1], (host, one)) for named, host, one in pairs if named is not None)


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    found: dict[str, list[T]] = {}
    for key, one in pairs:
        found.setdefault(key, []).append(one)
    return {key: tuple(ones) for key, ones in found.items()}


def _by_host(pairs: Iterable[tuple[str, Manifest]]) -> ByHost:
    closed: list[tuple[str, Manifest]] = []
    open_: list[tuple[str, Manifest]] = []
    for host, one in pairs:
        (open_ if "*" in host or is_placeholder(host) else closed).append((host, one))
    return _grouped(closed), tuple(open_)


def _places(one: Manifest) -> Iterator[object]:
    """What an object stands in: what was read as one, and its folder."""
    yield one.stream
    if one.segments:
        yield one.segments[:-1]


def bound_to_mesh(one: Manifest) -> bool:
    """Whether sidecars use a VirtualService, and not gateways alone."""
    return MESH in gateways_of(one.data)


def resolved(host: str, one: Manifest) -> str:
    """What istiod makes of a host that an object names."""
    return resolve_host(host, one.namespace)


def destinations(one: Manifest) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every place to which a VirtualService sends requests, copies of them included."""
    for protocol in ("http", "tls", "tcp"):
        for index, route in enumerate(one.spec.get(protocol, ())):
            path: Path = ("spec", protocol, index)
            for name in ("route", "mirrors"):
                for number, part in enumerate(route.get(name, ())):
                    if part.get("destination"):
                        yield (*path, name, number, "destination"), part["destination"]
            if route.get("mirror"):
                yield (*path, "mirror"), route["mirror"]
