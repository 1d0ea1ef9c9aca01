"""PeerAuthentications: which connections a workload takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import number, selector
from chaos.lab.istio.validation.outcome import Told, validated

_MTLS: Final = s.obj({"mode": s.choice("UNSET", "DISABLE", "PERMISSIVE", "STRICT")})
_PORTS: Final = (
    "port must be between 1-65535",
    lambda ports: all(0 < (number(port) or 0) <= 65535 for port in ports),
)
_SELECTED: Final = (
    "portLevelMtls requires selector",
    lambda spec: "portLevelMtls" not in spec or bool((spec.get("selector") or {}).get("matchLabels")),
)
SPEC: Final = s.obj(
    {
        "selector": s.obj({"matchLabels": s.MATCH_LABELS}),
        "mtls": _MTLS,
        "portLevelMtls": s.mapping(_MTLS, shortest=1, rules=(_PORTS,)),
    },
    rules=(_SELECTED,),
)


def validate_peer_authentication(obj: dict[str, Any]) -> Validation:
    """The schema and the webhook's rules."""
    return validated(SPEC, obj, _rules)


def _rules(spec: Mapping[str, Any], _: Mapping[str, Any]) -> Told:
    return selector(spec.get("selector"), key="matchLabels")
