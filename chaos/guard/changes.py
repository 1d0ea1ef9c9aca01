"""May Istio's configuration be changed there for a while? The same staging rules as for faults, and some of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.errors import Refused
from chaos.faults.fault import without_faults
from chaos.guard.draft import Staged
from chaos.guard.namespaces import (
    CONFIGURE,
    cluster_is_configured,
    namespace_exists,
    namespace_is_labelled,
    namespace_is_listed,
    namespace_is_not_frozen,
    namespace_is_not_the_root,
)
from chaos.guard.owners import controller_of
from chaos.istio.exports import PUBLIC, exported_namespaces
from chaos.istio.hosts import resolve_host, service_of
from chaos.istio.registry import alias_of
from chaos.istio.resources import BY_NAME, CHANGEABLE, Reaches
from chaos.istio.virtual_services import MESH
from chaos.model.mesh_change import MeshChange, spec_of
from chaos.model.settings import Settings
from chaos.model.situation import Situation
from chaos.values.remarks import Refusal


@dataclass(frozen=True, kw_only=True)
class ChangeDraft(Staged):
    """A change that would be made.

    Args:
        change: What would be written.
        lab: Whether it is the embedded lab, at whose gateways nobody else enters.
        calling: ``(namespace, workload)`` that called one of the object's hosts in the last hour, by the metrics.
    """

    change: MeshChange
    lab: bool = False
    calling: Sequence[tuple[str, str]] = ()

    @property
    def namespace(self) -> str:
        """The object's."""
        return self.change.namespace

    @property
    def versions(self) -> Sequence[Mapping[str, Any]]:
        """The object as it was and as it would be, as far as there is one."""
        meta = {"namespace": self.namespace, "name": self.change.name}
        specs = [spec_of(self.change.before)] if self.change.before is not None else []
        specs += [self.change.after] if self.change.after is not None else []
        return [{"kind": self.change.kind, "metadata": meta, "spec": spec} for spec in specs]

    @property
    def where(self) -> str:
        """``VirtualService staging/reviews``."""
        return f"{self.change.kind} {self.namespace}/{self.change.name}"


@dataclass(frozen=True, kw_only=True)
class InNamespace(Staged):
    """A namespace in which Istio's configuration would be written."""

    home: str

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self.home


def changes_are_allowed(draft: Staged) -> Iterator[Refusal]:
    """Somebody said of this very namespace that Istio's configuration may be changed there."""
    if draft.namespace not in draft.settings.changes:
        yield Refusal(
            rule="changes-not-allowed",
            value=draft.namespace,
            message=f"the settings do not allow changes of Istio's configuration in the namespace {draft.namespace!r}",
            hint=f'if changes are acceptable there, add it: changes = ["{draft.namespace}"] in {CONFIGURE}; on the lab they are always allowed',
        )


def kind_can_be_changed(draft: ChangeDraft) -> Iterator[Refusal]:
    """Only kinds for which the harness can compute whom they reach."""
    found = BY_NAME.get(draft.change.kind)
    if found is None or found.reaches is Reaches.ANYBODY or (found.reaches is Reaches.GATEWAYS and not draft.lab):
        yield Refusal(
            rule="kind-not-changed",
            value=draft.change.kind,
            message=f"a {draft.change.kind} can't be changed for a while: nothing shows that it stays inside the namespace ({draft.where})",
            hint=f"these can: {', '.join(one.kind for one in CHANGEABLE)}; on the lab a Gateway, too",
        )


def no_fault_is_written(draft: ChangeDraft) -> Iterator[Refusal]:
    """A fault goes through an experiment, which proves it and watches whom it hits."""
    routes = (draft.change.after or {}).get("http") or ()
    if any(without_faults(route) != dict(route) for route in routes):
        yield Refusal(
            rule="fault-in-change",
            value=draft.where,
            message=f"{draft.where} would have a fault, which is no change of the configuration",
            hint="declare it as a fault of an experiment",
        )


def change_stays_inside(draft: ChangeDraft) -> Iterator[Refusal]:
    """All callers that follow the object are in staging: by its ``exportTo``, or because nobody else calls the hosts of an old object that is exported as far."""
    if BY_NAME[draft.change.kind].reaches is not Reaches.EXPORTED:
        return
    versions = draft.versions
    grown = draft.change.before is None or len({_reach(one) for one in versions}) > 1
    outside = [
        entry
        for one in versions
        for entry in exported_namespaces(one, default=draft.situation.default_export)
        if entry == PUBLIC[0] or not (entry == draft.namespace or draft.allowed(entry))
    ]
    if outside and grown:
        yield Refusal(
            rule="export-outside",
            value=outside[0],
            message=f"{draft.where} would be seen outside the allowed namespaces (exportTo {outside[0]!r})",
            hint='write exportTo: ["."] into it',
        )
    strangers = sorted(
        {f"{home or 'unknown'}/{name or 'unknown'}" for home, name in draft.calling if not draft.allowed(home)}
    )
    if outside and strangers:
        yield Refusal(
            rule="caller-outside",
            value=", ".join(strangers),
            message=f"{draft.where} is seen outside the allowed namespaces, and these called its hosts in the last hour: {', '.join(strangers)}",
            hint='make a private object of another name for the same hosts, with exportTo: ["."]: callers of the namespace follow that one',
        )


def hosts_are_in_staging(draft: ChangeDraft) -> Iterator[Refusal]:
    """Every host that it governs, and every one to which it leads, is a Service of an allowed namespace."""
    for version in draft.versions:
        spec = version["spec"]
        gateways = [one for one in spec.get("gateways") or () if one != MESH]
        if gateways and not draft.lab:
            yield Refusal(
                rule="gateway-bound",
                value=gateways[0],
                message=f"{draft.where} is bound to the gateway {gateways[0]!r}: who enters there is not known to be staging",
                hint="change the routes of the Services behind the gateway instead",
            )
        if draft.change.kind == "VirtualService" and (
            not spec.get("hosts") or any("delegate" in one for one in spec.get("http") or ())
        ):
            yield Refusal(
                rule="delegate-reached",
                value=draft.where,
                message=f"{draft.where} is a delegate, or delegates: others than its own callers may follow it",
                hint="change a VirtualService that has hosts and routes of its own",
            )
        governed = _governed(spec)
        entered = draft.lab and gateways and MESH not in (spec.get("gateways") or ())
        for host in (*(() if entered else governed), *_led_to(spec)):
            full = resolve_host(str(host), draft.namespace)
            if BY_NAME[draft.change.kind].reaches is Reaches.EXPORTED and _leaves(draft, full):
                yield Refusal(
                    rule="host-outside",
                    value=full,
                    message=f"{draft.where} governs or leads to {full!r}, which is no Service of an allowed namespace",
                    hint="only Services of staging may be governed and led to; a host with a dot needs its full name",
                )
                return


def why_not_restored(obj: Mapping[str, Any], place: Staged) -> str:
    """Why an object of a backup may not be written, although its namespace allows writes; empty if it may.

    What a team has in its namespace is the team's: hosts outside the mesh, gateways, filters. But it has no fault, which an
    experiment has to declare, and governs no Service of others for callers elsewhere.
    """
    spec = spec_of(obj)
    if any(without_faults(route) != dict(route) for route in spec.get("http") or ()):
        return "it has a fault, which only an experiment may inject"
    if BY_NAME[obj["kind"]].reaches is Reaches.EXPORTED or obj["kind"] == "ServiceEntry":
        outside = [
            one
            for one in exported_namespaces(obj, default=place.situation.default_export)
            if one == PUBLIC[0] or not (one == place.namespace or place.allowed(one))
        ]
        for host in _governed(spec) if outside else ():
            full = resolve_host(host, place.namespace)
            if service_of(full) is not None and place.leaves_staging(full):
                return f"it would govern {full} for callers outside the allowed namespaces"
    return ""


def no_controller_puts_it_back(draft: ChangeDraft) -> Iterator[Refusal]:
    """A controller that owns the object would put it back at any time."""
    controller = controller_of(draft.change.before) if draft.change.before is not None else None
    if controller is not None:
        yield Refusal(
            rule="controller-owned",
            value=draft.where,
            message=f"{controller} owns {draft.where} and would overwrite the change",
            hint="suspend the controller for that time, or change an object that is yours",
        )


def _governed(spec: Mapping[str, Any]) -> list[str]:
    return [str(host) for host in (*(spec.get("hosts") or ()), *([spec["host"]] if "host" in spec else []))]


def _reach(version: Mapping[str, Any]) -> str:
    """The fields of a version that decide who follows it."""
    spec = version["spec"]
    return repr([spec.get(key) or None for key in ("hosts", "host", "exportTo", "gateways")])


def _leaves(draft: ChangeDraft, host: str) -> bool:
    service = service_of(host)
    alias = alias_of(draft.situation.service(*service)) if service is not None else ""
    return bool(alias) or draft.leaves_staging(host)


def _led_to(node: Any) -> Iterator[str]:
    """The hosts of all destinations, copies of requests among them, of whatever kind of route."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("destination", "mirror") and isinstance(value, Mapping) and "host" in value:
                yield str(value["host"])
            yield from _led_to(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _led_to(value)


_NAMESPACE: Final[tuple[Callable[[Staged], Iterable[Refusal]], ...]] = (
    cluster_is_configured, namespace_exists, namespace_is_listed, namespace_is_labelled, namespace_is_not_the_root,
    namespace_is_not_frozen, changes_are_allowed,
)  # fmt: skip
_OWN: Final[tuple[Callable[[ChangeDraft], Iterable[Refusal]], ...]] = (
    no_fault_is_written, change_stays_inside, hosts_are_in_staging, no_controller_puts_it_back,
)  # fmt: skip


def namespace_refusals(namespace: str, situation: Situation, settings: Settings) -> tuple[Refusal, ...]:
    """Why Istio's configuration may not be written in a namespace; empty where it may."""
    place = InNamespace(home=namespace, situation=situation, settings=settings)
    return tuple(refusal for rule in _NAMESPACE for refusal in rule(place))


def check_change(draft: ChangeDraft) -> tuple[Refusal, ...]:
    """Every violated rule; empty where the change may be made."""
    first = [*namespace_refusals(draft.namespace, draft.situation, draft.settings), *kind_can_be_changed(draft)]
    return tuple(first or (refusal for rule in _OWN for refusal in rule(draft)))


def refuse(refused: Sequence[Refusal]) -> None:
    """Nothing where nothing is refused.

    Raises:
        Refused: by these rules, all of them.
    """
    if refused:
        told = "\n".join(f"{one.rule}: {one.message}" for one in refused)
        raise Refused(told, hint="; ".join(dict.fromkeys(one.hint for one in refused)))
