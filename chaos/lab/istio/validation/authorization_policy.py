"""AuthorizationPolicies: who may ask a workload for what. Without JWT, without external authorizers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import selector_problems
from chaos.lab.istio.validation.outcome import outcome

_SOURCE: Final = s.obj(
    {
        **dict.fromkeys(
            (
                "principals", "notPrincipals", "namespaces", "notNamespaces", "ipBlocks", "notIpBlocks", "remoteIpBlocks",
                "notRemoteIpBlocks", "serviceAccounts", "notServiceAccounts",
            ),
            s.STRINGS,
        ),
        **dict.fromkeys(("requestPrincipals", "notRequestPrincipals", "trustDomains", "notTrustDomains"), s.unsupported()),
    }
)  # fmt: skip
_OPERATION: Final = s.obj(
    dict.fromkeys(
        ("hosts", "notHosts", "ports", "notPorts", "methods", "notMethods", "paths", "notPaths"),
        s.STRINGS,
    )
)
_RULE: Final = s.obj(
    {
        "from": s.array(s.obj({"source": _SOURCE})),
        "to": s.array(s.obj({"operation": _OPERATION})),
        "when": s.array(s.obj({"key": s.STRING, "values": s.STRINGS, "notValues": s.STRINGS}, required=("key",))),
    }
)
SPEC: Final = s.obj(
    {
        "selector": s.obj({"matchLabels": s.LABELS}),
        "targetRef": s.unsupported(),
        "targetRefs": s.unsupported(),
        "action": s.Node(kind="string", enum=("ALLOW", "DENY", "AUDIT", "CUSTOM")),
        "provider": s.unsupported(),
        "rules": s.array(_RULE),
    }
)
CONDITIONS: Final = (
    "source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "destination.ip",
    "destination.port", "connection.sni",
)  # fmt: skip
"""Attributes of ``when`` that the lab knows, beside ``request.headers[…]``."""
_HEADER: Final = re.compile(r"request\.headers\[[^\[\]]+\]")
_IP: Final = ("ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks")


def validate_authorization_policy(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    spec = obj.get("spec") or {}
    return outcome(s.check(SPEC, spec, ("spec",)), errors=_errors(spec), limits=_limits(obj))


def _errors(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from selector_problems(spec.get("selector"))
    if spec.get("action") == "CUSTOM" and not spec.get("provider"):
        yield "`provider.name` must not be empty"
    if spec.get("action") == "DENY" and spec.get("rules") is None:
        yield "a deny policy without `rules` will never be triggered and has no effect"
    for number, rule in enumerate(spec.get("rules") or ()):
        yield from _rule(rule or {}, f"rules[{number}]")


def _rule(rule: Mapping[str, Any], where: str) -> Iterator[str]:
    if "from" in rule and not rule["from"]:
        yield f"`from` must not be empty, found at {where}"
    if "to" in rule and not rule["to"]:
        yield f"`to` must not be empty, found at {where}"
    for key, part in (("from", "source"), ("to", "operation")):
        for number, item in enumerate(rule.get(key) or ()):
            told = f"{where}.{key}[{number}].{part}"
            fields = item.get(part)
            if not fields:
                yield f"`{key}.{part}` must have at least one field set, found at {told}"
                continue
            for name, values in fields.items():
                if not values:
                    yield f"`{name}` must not be empty, found at {told}"
                yield from _values(name, values or (), told)
            accounts = any(fields.get(name) for name in ("serviceAccounts", "notServiceAccounts"))
            if accounts and any(fields.get(n) for n in ("principals", "notPrincipals", "namespaces", "notNamespaces")):
                yield f"serviceAccounts cannot be used with principals or namespaces, found at {told}"
    for number, condition in enumerate(rule.get("when") or ()):
        if not condition.get("key"):
            yield f"`key` must not be empty, found at {where}.when[{number}]"
        if not condition.get("values") and not condition.get("notValues"):
            yield f"at least one of `values` or `notValues` must be set, found at {where}.when[{number}]"


def _values(name: str, values: Sequence[str], where: str) -> Iterator[str]:
    for value in values:
        if name in _IP:
            try:
                ipaddress.ip_network(value, strict=False)
            except ValueError:
                yield f"invalid IP address or CIDR range {value!r}, found at {where}.{name}"
        elif name in ("ports", "notPorts") and not (value.isdigit() and 1 <= int(value) <= 65535):
            yield f"invalid port {value!r}, found at {where}.{name}"
        elif not value:
            yield f"`{name}` must not contain empty values, found at {where}"


def _limits(obj: Mapping[str, Any]) -> Iterator[str]:
    spec = obj.get("spec") or {}
    if ((obj.get("metadata") or {}).get("annotations") or {}).get("istio.io/dry-run"):
        yield "metadata.annotations[istio.io/dry-run]"
    if spec.get("action") in ("AUDIT", "CUSTOM"):
        yield f"spec.action: {spec['action']}"
    for number, rule in enumerate(spec.get("rules") or ()):
        for at, condition in enumerate((rule or {}).get("when") or ()):
            key = condition["key"]
            if key not in CONDITIONS and not _HEADER.fullmatch(key):
                yield f"spec.rules[{number}].when[{at}].key: {key}"
        for at, item in enumerate((rule or {}).get("to") or ()):
            for name in ("paths", "notPaths"):
                for path in item["operation"].get(name) or ():
                    if "{" in path:
                        yield f"spec.rules[{number}].to[{at}].operation.{name}: templates such as {path}"
