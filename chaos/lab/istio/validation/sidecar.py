"""Sidecars: what of the mesh a workload's proxy knows. Their listeners of their own are not supported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import host_problem, label_problems
from chaos.lab.istio.validation.outcome import outcome

SPEC: Final = s.obj(
    {
        "workloadSelector": s.obj({"labels": s.LABELS}),
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
                "mode": s.Node(kind="string", enum=("REGISTRY_ONLY", "ALLOW_ANY")),
                "egressProxy": s.unsupported(),
            }
        ),
    }
)  # fmt: skip


def validate_sidecar(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    spec = obj.get("spec") or {}
    return outcome(s.check(SPEC, spec, ("spec",)), errors=_errors(spec, obj), limits=_limits(spec))


def _errors(spec: Mapping[str, Any], obj: Mapping[str, Any]) -> Iterator[str]:
    selected = (spec.get("workloadSelector") or {}).get("labels") or {}
    yield from label_problems(selected)
    if selected and (obj.get("metadata") or {}).get("namespace") == "istio-system":
        yield "sidecar: workloadSelector cannot be used in the root namespace"
    if not spec.get("egress") and not spec.get("ingress") and spec.get("outboundTrafficPolicy") is None:
        yield "sidecar: empty configuration provided"
    for listener in spec.get("egress") or ():
        if not listener["hosts"]:
            yield "sidecar: egress listener must contain at least one host"
        for entry in listener["hosts"]:
            namespace, slash, host = entry.partition("/")
            if not slash:
                yield f"sidecar: host {entry!r} must be of form namespace/dnsName"
            elif not namespace or not host:
                yield f"sidecar: config namespace and dnsName in host entry {entry!r} cannot be empty"
            elif host != "*":
                yield from host_problem(host)


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    if (spec.get("outboundTrafficPolicy") or {}).get("mode") == "ALLOW_ANY":
        yield "spec.outboundTrafficPolicy.mode: ALLOW_ANY"
