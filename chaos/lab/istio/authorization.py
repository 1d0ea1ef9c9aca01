"""AuthorizationPolicies to Envoy's RBAC filters: those that deny are asked first, then those that allow.

istiod ``pilot/pkg/security/authz/{builder,model}``: a rule's sources become principals and its operations permissions;
where a workload has a policy that allows, what none of them allows is denied.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from chaos.istio.exports import Object
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.lab.istio.authority import spiffe_id
from chaos.lab.istio.proxy import Proxy

Rule = dict[str, Any]
RBAC_FILTER: Final = "envoy.filters.http.rbac"


def rbac_filters(policies: Sequence[Object], proxy: Proxy) -> list[dict[str, Any]]:
    """The filters of a workload's inbound side; none where no policy is for it."""
    own = [policy for policy in policies if _is_for(policy, proxy)]
    found = []
    for action in ("DENY", "ALLOW"):
        chosen = [policy for policy in own if policy["spec"].get("action", "ALLOW") == action]
        if chosen:
            rules = {"action": action, "policies": dict(part for policy in chosen for part in _policies(policy))}
            kind = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
            found.append({"name": RBAC_FILTER, "typed_config": {"@type": kind, "rules": rules}})
    return found


def _is_for(policy: Object, proxy: Proxy) -> bool:
    selector = (policy["spec"].get("selector") or {}).get("matchLabels") or {}
    return (
        policy["metadata"]["namespace"] in (proxy.namespace, ROOT_NAMESPACE)
        and selector.items() <= proxy.labels.items()
    )


def _policies(policy: Object) -> Iterable[tuple[str, Rule]]:
    meta = policy["metadata"]
    for number, rule in enumerate(policy["spec"].get("rules") or ()):
        name = f"ns[{meta['namespace']}]-policy[{meta['name']}]-rule[{number}]"
        yield name, _rule(rule or {}, meta["namespace"])


def _rule(rule: Mapping[str, Any], namespace: str) -> Rule:
    about_source, about_target = _conditions(rule.get("when") or (), namespace)
    sources = [_fields(item["source"], _SOURCES, namespace, "ids") + about_source for item in rule.get("from") or ()]
    targets = [_fields(item["operation"], _TARGETS, namespace, "rules") + about_target for item in rule.get("to") or ()]
    return {
        "permissions": [_all(one, "rules") for one in targets or [about_target]],
        "principals": [_all(one, "ids") for one in sources or [about_source]],
    }


Matcher = Callable[[str, str], Rule]
"""``(value, the policy's namespace)`` to a principal or permission."""
Kind = Literal["ids", "rules"]
"""Envoy's names for lists of principals and of permissions."""


def _fields(given: Mapping[str, Sequence[str]], known: Mapping[str, Matcher], namespace: str, kind: Kind) -> list[Rule]:
    found = []
    for name, matcher in known.items():
        for values, negated in ((given.get(name), False), (given.get(f"not{name[0].upper()}{name[1:]}"), True)):
            if values:
                found.append(_one_of([matcher(value, namespace) for value in values], kind, negated=negated))
    return found


def _conditions(when: Iterable[Mapping[str, Any]], namespace: str) -> tuple[list[Rule], list[Rule]]:
    """What ``when`` asks of the source, and of the target."""
    source: list[Rule] = []
    target: list[Rule] = []
    for condition in when:
        key = condition["key"]
        of_target = key in _ABOUT_TARGET
        matcher = _ABOUT_TARGET.get(key) or _ABOUT_SOURCE.get(key) or _header_of(key)
        kind: Kind = "rules" if of_target else "ids"
        for name, negated in (("values", False), ("notValues", True)):
            if condition.get(name):
                rules = [matcher(value, namespace) for value in condition[name]]
                (target if of_target else source).append(_one_of(rules, kind, negated=negated))
    return source, target


def _all(rules: list[Rule], kind: Kind) -> Rule:
    return {f"and_{kind}": {kind: rules}} if rules else {"any": True}


def _one_of(rules: list[Rule], kind: Kind, *, negated: bool) -> Rule:
    either: Rule = {f"or_{kind}": {kind: rules}}
    return {f"not_{kind.removesuffix('s')}": either} if negated else either


# --- values ------------------------------------------------------------------------------------------------------------


def _string(value: str, *, ignore_case: bool = False) -> Rule:
    """Istio's values: exact, ``*`` for anything that is there, ``prefix*``, ``*suffix``."""
    if value == "*":
        return {"safe_regex": {"regex": ".+"}}
    if value.endswith("*"):
        matcher: Rule = {"prefix": value[:-1]}
    elif value.startswith("*"):
        matcher = {"suffix": value[1:]}
    else:
        matcher = {"exact": value}
    return {**matcher, "ignore_case": True} if ignore_case else matcher


def _principal(value: str, _: str) -> Rule:
    if value == "*":
        return {"authenticated": {"principal_name": {"safe_regex": {"regex": ".+"}}}}
    if value.startswith("*"):  # a suffix may begin anywhere after the scheme
        return {"authenticated": {"principal_name": {"suffix": value[1:]}}}
    return {"authenticated": {"principal_name": _string(f"spiffe://{value}")}}


def _namespace(value: str, _: str) -> Rule:
    pattern = ".*".join(re.escape(part) for part in value.split("*")) if value != "*" else ".+"
    return {"authenticated": {"principal_name": {"safe_regex": {"regex": f".*/ns/{pattern}/.*"}}}}


def _service_account(value: str, namespace: str) -> Rule:
    where, slash, name = value.rpartition("/")
    return {"authenticated": {"principal_name": {"exact": spiffe_id(where if slash else namespace, name)}}}


def _block(value: str) -> Rule:
    network = ipaddress.ip_network(value, strict=False)
    return {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}


def _header_of(key: str) -> Matcher:
    name = key.removeprefix("request.headers[").removesuffix("]")
    return lambda value, _: {"header": {"name": name, "string_match": _string(value)}}


_SOURCES: Final[Mapping[str, Matcher]] = {
    "principals": _principal,
    "namespaces": _namespace,
    "serviceAccounts": _service_account,
    "ipBlocks": lambda value, _: {"direct_remote_ip": _block(value)},
    "remoteIpBlocks": lambda value, _: {"remote_ip": _block(value)},
}
_TARGETS: Final[Mapping[str, Matcher]] = {
    "hosts": lambda value, _: {"header": {"name": ":authority", "string_match": _string(value, ignore_case=True)}},
    "ports": lambda value, _: {"destination_port": int(value)},
    "methods": lambda value, _: {"header": {"name": ":method", "string_match": _string(value)}},
    "paths": lambda value, _: {"url_path": {"path": _string(value)}},
}
_ABOUT_SOURCE: Final[Mapping[str, Matcher]] = {
    "source.ip": _SOURCES["ipBlocks"],
    "remote.ip": _SOURCES["remoteIpBlocks"],
    "source.namespace": _namespace,
    "source.principal": _principal,
    "source.serviceAccount": _service_account,
}
_ABOUT_TARGET: Final[Mapping[str, Matcher]] = {
    "destination.ip": lambda value, _: {"destination_ip": _block(value)},
    "destination.port": _TARGETS["ports"],
    "connection.sni": lambda value, _: {"requested_server_name": _string(value)},
}
