"""DestinationRules: the subsets of a host, and how connections to it are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.envoy import policy_limits
from chaos.lab.istio.validation.hosts import export_to, is_label, labels, wildcard_domain
from chaos.lab.istio.validation.outcome import Told, errors, validated
from chaos.lab.istio.validation.traffic_policy import POLICY, traffic_policy

SPEC: Final = s.obj(
    {
        "host": s.STRING,
        "trafficPolicy": POLICY,
        "subsets": s.array(s.obj({"name": s.STRING, "labels": s.LABELS, "trafficPolicy": POLICY}, required=("name",))),
        "exportTo": s.STRINGS,
        "workloadSelector": s.unsupported(),
    },
    required=("host",),
)


def validate_destination_rule(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    return validated(SPEC, obj, _rules, _limits)


def _rules(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Told:
    yield from wildcard_domain(spec["host"])
    yield from traffic_policy(spec.get("trafficPolicy"))
    names = [subset["name"] for subset in spec.get("subsets") or ()]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"duplicate subset names: {name}"
    for subset in spec.get("subsets") or ():
        if not is_label(subset["name"]):
            yield f"subset name is invalid: {subset['name']!r}"
        yield from labels(subset.get("labels"))
        yield from errors(traffic_policy(subset.get("trafficPolicy")))
    yield from export_to(spec.get("exportTo") or (), meta.get("namespace", ""))


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    for path, policy in _policies(spec):
        if (policy.get("loadBalancer") or {}).get("simple") == "PASSTHROUGH":
            yield f"{path}.loadBalancer.simple: PASSTHROUGH"
        tls = policy.get("tls") or {}
        if tls.get("mode") == "MUTUAL":
            yield f"{path}.tls.mode: MUTUAL"
        if tls.get("credentialName"):
            yield f"{path}.tls.credentialName"
        yield from policy_limits(policy, path)


def _policies(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    whole = [("spec.trafficPolicy", spec.get("trafficPolicy") or {})]
    for at, subset in enumerate(spec.get("subsets") or ()):
        whole.append((f"spec.subsets[{at}].trafficPolicy", subset.get("trafficPolicy") or {}))
    for path, policy in whole:
        yield path, policy
        for at, port in enumerate(policy.get("portLevelSettings") or ()):
            yield f"{path}.portLevelSettings[{at}]", port
