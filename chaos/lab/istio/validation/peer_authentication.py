"""PeerAuthentications: which connections a workload takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import selector_problems
from chaos.lab.istio.validation.outcome import outcome

_MTLS: Final = s.obj({"mode": s.Node(kind="string", enum=("UNSET", "DISABLE", "PERMISSIVE", "STRICT"))})
SPEC: Final = s.obj(
    {
        "selector": s.obj({"matchLabels": s.LABELS}),
        "mtls": _MTLS,
        "portLevelMtls": s.Node(kind="object", items=_MTLS),
    }
)


def validate_peer_authentication(obj: dict[str, Any]) -> Validation:
    """The schema and the webhook's rules."""
    spec = obj.get("spec") or {}
    return outcome(s.check(SPEC, spec, ("spec",)), errors=_errors(spec))


def _errors(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from selector_problems(spec.get("selector"))
    ports = spec.get("portLevelMtls")
    if ports is not None and not (spec.get("selector") or {}).get("matchLabels"):
        yield "mesh/namespace peer authentication cannot have port level mTLS"
    if ports is not None and not ports:
        yield "port level mTLS, if defined, must have at least one element"
    for port in ports or ():
        if not str(port).isdigit() or not 1 <= int(port) <= 65535:
            yield f"port level mTLS has invalid port {port}"
