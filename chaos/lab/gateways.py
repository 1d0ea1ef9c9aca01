"""Says when nobody serves a Gateway: on Istio it is accepted, and the requests that it is for find nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chaos.lab.api.resources import PODS
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validation, Validator
from chaos.lab.injection import is_gateway
from chaos.lab.istio.validation.gateway import validate_gateway


def validator(store: Store) -> Validator:
    """Istio's validation of Gateways, and a warning where no gateway's pod has the labels that one selects.

    Args:
        store: The objects of the lab, whose pods are looked at each time.
    """

    def validate(gateway: dict[str, Any]) -> Validation:
        found = validate_gateway(gateway)
        if not found.accepted:
            return found
        selector: dict[str, str] = gateway["spec"].get("selector") or {}
        if any(
            is_gateway(pod) and selector.items() <= (pod["metadata"].get("labels") or {}).items()
            for pod in store.list(PODS)
        ):
            return found
        wanted = ", ".join(f"{key}={value}" for key, value in selector.items())
        told = (
            f"no gateway of the lab has the labels {wanted or '(any)'}, so nothing serves this yet; Istio's own ingress gateway "
            "runs where a Gateway for istio=ingressgateway is among the files of `chaosctl lab up --manifests`"
        )
        return replace(found, warnings=(*found.warnings, told))

    return validate
