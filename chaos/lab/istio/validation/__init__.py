"""What Istio's schema and webhook accept and reject, and what the lab does not support yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.lab.api.validation import Validator
from chaos.lab.istio.validation.destination_rule import validate_destination_rule
from chaos.lab.istio.validation.gateway import validate_gateway
from chaos.lab.istio.validation.virtual_service import validate_virtual_service

VALIDATORS: Final[Mapping[str, Validator]] = {
    "VirtualService": validate_virtual_service,
    "DestinationRule": validate_destination_rule,
    "Gateway": validate_gateway,
}

__all__ = ["VALIDATORS"]
