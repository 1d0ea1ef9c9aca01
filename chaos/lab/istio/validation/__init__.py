"""What Istio's schema and webhook accept and reject, and what the lab does not support yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.lab.api.validation import Validator
from chaos.lab.istio.validation.authorization_policy import validate_authorization_policy
from chaos.lab.istio.validation.destination_rule import validate_destination_rule
from chaos.lab.istio.validation.gateway import validate_gateway
from chaos.lab.istio.validation.peer_authentication import validate_peer_authentication
from chaos.lab.istio.validation.service_entry import validate_service_entry
from chaos.lab.istio.validation.sidecar import validate_sidecar
from chaos.lab.istio.validation.virtual_service import validate_virtual_service

VALIDATORS: Final[Mapping[str, Validator]] = {
    "VirtualService": validate_virtual_service,
    "DestinationRule": validate_destination_rule,
    "Gateway": validate_gateway,
    "ServiceEntry": validate_service_entry,
    "Sidecar": validate_sidecar,
    "PeerAuthentication": validate_peer_authentication,
    "AuthorizationPolicy": validate_authorization_policy,
}

__all__ = ["VALIDATORS"]
