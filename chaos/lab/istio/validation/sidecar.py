"""Sidecars: what of the mesh a workload's proxy knows. Their listeners of their own are not supported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import listed_host, selector
from chaos.lab.istio.validation.outcome import Told, Warned, validated

SPEC: Final = s.obj(
    {
        "workloadSelector": s.obj({"labels": s.SELECTED}),
        "egress": s.array(
            s.obj(
                {
                    "hosts": s.STRINGS, "port": s.unsupported(), "bind": s.unsupported(),
                    "captureMode": s.unsupported(),
                },
                required=("hosts",),
            )
        ),
        "ingress": s.unsupported(),
        "inboundConnectionPool": s.unsupported(),
        "outboundTrafficPolicy": s.obj(
            {
                "mode": s.choice("REGISTRY_ONLY", "ALLOW_ANY"),
                "egressProxy": s.unsupported(),
            }
        ),
    }
)  # fmt: skip


def validate_sidecar(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    return validated(SPEC, obj, _rules, _limits)


def _rules(spec: Mapping[str, Any], meta: Mapping[str, Any]) -> Told:
    yield from selector(
        spec.get("workloadSelector"), key="labels", why="sidecar: {}, will be applied to all services in namespace"
    )
    egress = spec.get("egress") or ()
    if not egress and spec.get("outboundTrafficPolicy") is None:
        yield "sidecar: empty configuration provided"
    if len(egress) > 1:
        yield "sidecar: the egress listener with empty port should be the last listener in the list"
    for listener in egress:
        if not listener["hosts"]:
            yield "sidecar: egress listener must contain at least one host"
        for entry in listener["hosts"]:
            yield from listed_host(entry, gateway=False)
        yield from _doubled(listener["hosts"], meta.get("namespace", ""))


def _doubled(hosts: Sequence[str], namespace: str) -> Iterator[Warned]:
    """Hosts that another one in the list has already named."""
    named: dict[str, set[str]] = {}
    for entry in hosts:
        space, slash, host = entry.partition("/")
        if not slash:
            continue
        known = named.setdefault(namespace if space == "." else space, set())
        if known and (host == "*" or host in known or "*" in known):
            yield Warned(f"duplicated egress host: {entry}")
        known.add(host)
    if "*" in named.get("*", ()) and len(named) != 1:
        yield Warned("`*/*` host select all resources, no other hosts can be added")


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    if (spec.get("outboundTrafficPolicy") or {}).get("mode") == "ALLOW_ANY":
        yield "spec.outboundTrafficPolicy.mode: ALLOW_ANY"
