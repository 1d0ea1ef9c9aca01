"""Which DestinationRule a client follows for a host, and how several for one host become one.

istiod ``pilot/pkg/model/push_context.go`` (setDestinationRules, destinationRule), ``destination_rule.go``
(mergeDestinationRule).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.istio.exports import Object
from chaos.istio.hosts import is_wildcard, resolve_host
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.virtual_services import age_key

_EVERYWHERE: Final = "*"
_OWN: Final = "."


@dataclass
class _Merged:
    """Rules of one namespace for one host that count as one."""

    rule: Object
    exported: frozenset[str]

    def take(self, rule: Object) -> None:
        """Adds the subsets whose names are new, and the policy where there is none yet."""
        old, new = self.rule["spec"], rule["spec"]
        known = {subset["name"] for subset in old.get("subsets") or ()}
        more = [subset for subset in new.get("subsets") or () if subset["name"] not in known]
        spec: dict[str, Any] = {**old, "subsets": [*(old.get("subsets") or ()), *more]}
        if old.get("trafficPolicy") is None and new.get("trafficPolicy") is not None:
            spec["trafficPolicy"] = new["trafficPolicy"]
        self.rule = {**self.rule, "spec": spec}


@dataclass
class _Pool:
    """The rules that are looked up together, by their hosts."""

    hosts: dict[str, list[_Merged]] = field(default_factory=dict)
    wild: list[str] = field(default_factory=list)

    def add(self, rule: Object, exported: frozenset[str]) -> None:
        """Merges it with those that reach the same namespaces, or fewer; else it stands for itself."""
        host = resolve_host(rule["spec"]["host"], rule["metadata"]["namespace"])
        if is_wildcard(host) and host not in self.hosts:
            self.wild.append(host)
        there = self.hosts.setdefault(host, [])
        fitting = [one for one in there if exported == one.exported or (one.exported and exported > one.exported)]
        for one in fitting:
            one.take(rule)
        if not fitting:
            there.append(_Merged(rule, exported))

    def most_specific(self, host: str) -> list[_Merged]:
        """Those for the host itself, else those of the longest wildcard that covers it."""
        if host in self.hosts:
            return self.hosts[host]
        wild = [own for own in self.wild if host.endswith(own[1:])]
        return self.hosts[max(wild, key=len)] if wild else []


class DestinationRules:
    """All rules of a mesh."""

    def __init__(self, rules: Iterable[Object] = ()) -> None:
        self._local: dict[str, _Pool] = {}
        self._exported: dict[str, _Pool] = {}
        self._private_to_root = _Pool()
        for rule in sorted((one for one in rules if (one.get("spec") or {}).get("host")), key=age_key):
            home = rule["metadata"]["namespace"]
            exported = frozenset(rule["spec"].get("exportTo") or ())
            if not exported or exported & {_EVERYWHERE, _OWN, home}:
                self._local.setdefault(home, _Pool()).add(rule, exported)
            if len(exported) != 1 or not exported & {_OWN, home}:
                self._exported.setdefault(home, _Pool()).add(rule, exported)
            elif home == ROOT_NAMESPACE:
                self._private_to_root.add(rule, exported)

    def for_client(self, namespace: str, host: str, *, home: str) -> Object | None:
        """The rule that clients of a namespace follow for a host of the registry, whose namespace is ``home``.

        Their own namespace's come first, then those that the service's namespace exports to them, then those of the root
        namespace. Clients of the root namespace have only its private rules before all others, so that what is there for
        the whole mesh does not keep gateways from the services' own.
        """
        own = self._private_to_root if namespace == ROOT_NAMESPACE else self._local.get(namespace)
        found = own.most_specific(host) if own else []
        return (
            _last(found)
            or _last(self._export(home, host, namespace))
            or _last(self._export(ROOT_NAMESPACE, host, namespace))
        )

    def _export(self, owner: str, host: str, client: str) -> list[_Merged]:
        pool = self._exported.get(owner)
        found = pool.most_specific(host) if pool else []
        return [one for one in found if not one.exported or one.exported & {_EVERYWHERE, client}]


def _last(found: list[_Merged]) -> Object | None:
    """Of several that could not be merged (istiod ``sidecar.go`` DestinationRule)."""
    return found[-1].rule if found else None


Policy = Mapping[str, Any]
_PER_PORT: Final = ("connectionPool", "loadBalancer", "outlierDetection", "tls")


def policy_for(rule: Object | None, subset: str, port: int) -> Policy:
    """The policy of a subset at a port (istiod ``pilot/pkg/networking/util`` MergeSubsetTrafficPolicy).

    A subset's fields replace those of the rule one by one. Settings of a port replace all of the policy that they are in, so
    that what they leave out is Istio's default; the rule's and the subset's are looked at each for itself.
    """
    spec: Policy = rule["spec"] if rule else {}
    merged, _ = _at_port(spec.get("trafficPolicy"), port)
    policies = (one.get("trafficPolicy") for one in spec.get("subsets") or () if one["name"] == subset)
    own, replaced = _at_port(next(policies, None), port)
    if merged is None or own is None:
        return merged or own or {}
    kept = {key: value for key, value in merged.items() if not (replaced and key in _PER_PORT)}
    return {**kept, **{key: value for key, value in own.items() if value is not None}}


def _at_port(policy: Policy | None, port: int) -> tuple[Policy | None, bool]:
    """The policy without the settings of its ports, or those of this port."""
    if policy is None:
        return None, False
    for settings in policy.get("portLevelSettings") or ():
        if (settings.get("port") or {}).get("number") == port:
            return {key: settings[key] for key in _PER_PORT if key in settings}, True
    return {key: value for key, value in policy.items() if key != "portLevelSettings"}, False
