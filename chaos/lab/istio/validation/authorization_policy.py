"""AuthorizationPolicies: who may ask a workload for what. Without JWT, without external authorizers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import selector, subnet
from chaos.lab.istio.validation.outcome import Told, Warned, unsupported, validated

_ACCOUNTS: Final = ("serviceAccounts", "notServiceAccounts")
_MOST_ACCOUNTS, _LONGEST_ACCOUNT = 16, 320
_OTHERS: Final = ("principals", "notPrincipals", "namespaces", "notNamespaces")
_BLOCKS: Final = ("ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks")
_SOURCE: Final = s.obj(
    {
        **dict.fromkeys((*_OTHERS, *_BLOCKS), s.STRINGS),
        **dict.fromkeys(_ACCOUNTS, s.array(s.text(longest=_LONGEST_ACCOUNT), longest=_MOST_ACCOUNTS)),
        **dict.fromkeys(("requestPrincipals", "notRequestPrincipals", "trustDomains", "notTrustDomains"), s.unsupported()),
    },
    rules=(
        (
            "Cannot set serviceAccounts with namespaces or principals",
            lambda one: not (any(key in one for key in _ACCOUNTS) and any(key in one for key in _OTHERS)),
        ),
    ),
)  # fmt: skip
_OPERATION: Final = s.obj(
    dict.fromkeys(
        ("hosts", "notHosts", "ports", "notPorts", "methods", "notMethods", "paths", "notPaths"),
        s.STRINGS,
    )
)
_RULE: Final = s.obj(
    {
        "from": s.array(s.obj({"source": _SOURCE}), longest=512),
        "to": s.array(s.obj({"operation": _OPERATION})),
        "when": s.array(s.obj({"key": s.STRING, "values": s.STRINGS, "notValues": s.STRINGS}, required=("key",))),
    }
)
SPEC: Final = s.obj(
    {
        "selector": s.obj({"matchLabels": s.MATCH_LABELS}),
        "targetRef": s.unsupported(),
        "targetRefs": s.unsupported(),
        "action": s.choice("ALLOW", "DENY", "AUDIT", "CUSTOM"),
        "provider": s.unsupported(),
        "rules": s.array(_RULE, longest=512),
    },
    one_of=(("selector", "targetRef", "targetRefs"),),
)
CONDITIONS: Final = (
    "source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "destination.ip",
    "destination.port", "connection.sni",
)  # fmt: skip
"""Attributes of ``when`` that the lab knows, beside ``request.headers[…]``."""
_ELSEWHERE: Final = (
    "request.auth.principal", "request.auth.audiences", "request.auth.presenter", "source.trustDomain",
)  # fmt: skip
_WITH_KEY: Final = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")
_HEADER: Final = re.compile(r"request\.headers\[[^\[\]]+\]")
_TEMPLATE: Final = re.compile(r"\{\*\*?\}")
_BAD_TEMPLATE: Final = re.compile(r"/\{\w+=\*\*?\}|\{\w*\}|/\*\*?|\*\*?/", re.ASCII)
_ONLY_HTTP: Final = (
    "configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of only HTTP attributes "
    "in a DENY rule; it is recommended to explicitly specify the port"
)


def validate_authorization_policy(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    found = validated(SPEC, obj, _rules, _limits)
    if found.accepted and "istio.io/dry-run" in ((obj.get("metadata") or {}).get("annotations") or {}):
        return unsupported(found, "metadata.annotations[istio.io/dry-run]")
    return found


def _rules(spec: Mapping[str, Any], _: Mapping[str, Any]) -> Told:
    yield from selector(spec.get("selector"), key="matchLabels")
    action, rules = spec.get("action", "ALLOW"), spec.get("rules") or ()
    if action == "CUSTOM":
        yield "`provider.name` must not be empty"
    if action == "DENY" and not rules:
        yield "DENY action without `rules` is meaningless as it will never be triggered"
    for number, rule in enumerate(rules):
        for told in _rule(rule):
            yield f"{told}, found at rule {number}"
        if action == "DENY" and _only_http(rule):
            yield Warned(_ONLY_HTTP)


def _only_http(rule: Mapping[str, Any]) -> bool:
    """Whether a rule names nothing that a TCP connection has."""
    sources = [item["source"] for item in rule.get("from") or () if "source" in item]
    operations = [item["operation"] for item in rule.get("to") or () if "operation" in item]
    if operations:
        return not any(operation.get("ports") or operation.get("notPorts") for operation in operations)
    return bool(sources) and not any(source.get(key) for source in sources for key in (*_ACCOUNTS, *_OTHERS, *_BLOCKS))


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    for key, part in (("from", "source"), ("to", "operation")):
        for item in rule.get(key) or ():
            if part not in item:
                yield f"`{key}.{part}` must not be nil"
            elif not any(item[part].values()):
                yield f"`{key}.{part}` must not be empty"
            for name, values in item.get(part, {}).items():
                yield from _values(name, values)
    for condition in rule.get("when") or ():
        key = condition["key"]
        given = [condition[name] for name in ("values", "notValues") if condition.get(name)]
        if not key:
            yield "`key` must not be empty"
        elif not given:
            yield f"at least one of `values` or `notValues` must be set for key {key}"
        for values in given if key else ():
            yield from _condition(key, values)


def _values(name: str, values: Sequence[str]) -> Iterator[str]:
    if "" in values:
        yield f"empty value not allowed in {name}"
    if name in _BLOCKS:
        yield from _addresses(values)
    elif name in ("ports", "notPorts"):
        yield from _ports(values)
    elif name in ("paths", "notPaths"):
        for path in values:
            if _TEMPLATE.search(path) and _BAD_TEMPLATE.search(path):
                yield f"invalid or unsupported path template {path!r} in {name}"
    elif name in _ACCOUNTS:
        yield from _accounts(values)


def _addresses(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        yield from subnet(value)


def _ports(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        if not (value.isascii() and value.isdigit() and int(value[-20:]) <= 65535 and not value[:-20].strip("0")):
            yield f"bad port ({value})"


def _accounts(values: Sequence[str]) -> Iterator[str]:
    """``serviceAccount`` or ``namespace/serviceAccount`` (istiod ``security.CheckServiceAccount``)."""
    if len(values) > _MOST_ACCOUNTS:
        yield f"may not have more than {_MOST_ACCOUNTS} values"
    for value in values:
        if len(value.encode("utf-8", "surrogatepass")) > _LONGEST_ACCOUNT:
            yield f"value cannot exceed {_LONGEST_ACCOUNT} characters, found {value!r}"
        if "*" in value:
            yield f"wildcard not allowed in the service account {value!r}"
        if value.count("/") > 1 or value.startswith("/") or value.endswith("/"):
            yield f"expected format 'serviceAccount' or 'namespace/serviceAccount', found {value!r}"


def _condition(key: str, values: Sequence[str]) -> Iterator[str]:
    """Istiod ``security.ValidateAttribute``."""
    if "" in values:
        yield f"empty value not allowed for key {key}"
    if key in ("source.ip", "remote.ip", "destination.ip"):
        yield from _addresses(values)
    elif key == "destination.port":
        yield from _ports(values)
    elif key == "source.serviceAccount":
        yield from _accounts(values)
    elif key.startswith(_WITH_KEY):
        if not (key.endswith("]") and 0 < key.find("[") < len(key) - 2):
            yield f"bad key ({key}): should have format a[b]"
    elif key not in (*CONDITIONS, *_ELSEWHERE):
        yield f"unknown attribute: {key}"


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("action") == "AUDIT":
        yield "spec.action: AUDIT"
    for number, rule in enumerate(spec.get("rules") or ()):
        for at, condition in enumerate(rule.get("when") or ()):
            key = condition["key"]
            if key not in CONDITIONS and not _HEADER.fullmatch(key):
                yield f"spec.rules[{number}].when[{at}].key: {key}"
        for at, item in enumerate(rule.get("to") or ()):
            for name in ("paths", "notPaths"):
                for path in item["operation"].get(name) or ():
                    if _TEMPLATE.search(path):
                        yield f"spec.rules[{number}].to[{at}].operation.{name}: templates such as {path}"
