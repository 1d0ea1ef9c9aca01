"""The kinds of Istio's configuration: where the API serves them, and whom an object of each reaches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Reaches(Enum):
    """On whom an object acts."""

    NAMESPACE = "the workloads of its own namespace"
    EXPORTED = "everybody to whom it is exported"
    GATEWAYS = "whoever enters at the gateways that it selects, in any namespace"
    ANYBODY = "traffic to places that nothing else names, or whatever its code does"


@dataclass(frozen=True)
class IstioKind:
    """One kind: ``VirtualService``, ``virtualservices`` of ``networking.istio.io``."""

    kind: str
    plural: str
    group: str
    reaches: Reaches

    @property
    def full(self) -> str:
        """``virtualservices.networking.istio.io``."""
        return f"{self.plural}.{self.group}"


_NETWORKING, _SECURITY = "networking.istio.io", "security.istio.io"
KINDS: Final = (
    IstioKind("AuthorizationPolicy", "authorizationpolicies", _SECURITY, Reaches.NAMESPACE),
    IstioKind("DestinationRule", "destinationrules", _NETWORKING, Reaches.EXPORTED),
    IstioKind("EnvoyFilter", "envoyfilters", _NETWORKING, Reaches.ANYBODY),
    IstioKind("Gateway", "gateways", _NETWORKING, Reaches.GATEWAYS),
    IstioKind("PeerAuthentication", "peerauthentications", _SECURITY, Reaches.NAMESPACE),
    IstioKind("ProxyConfig", "proxyconfigs", _NETWORKING, Reaches.ANYBODY),
    IstioKind("RequestAuthentication", "requestauthentications", _SECURITY, Reaches.NAMESPACE),
    IstioKind("ServiceEntry", "serviceentries", _NETWORKING, Reaches.ANYBODY),
    IstioKind("Sidecar", "sidecars", _NETWORKING, Reaches.NAMESPACE),
    IstioKind("Telemetry", "telemetries", "telemetry.istio.io", Reaches.NAMESPACE),
    IstioKind("VirtualService", "virtualservices", _NETWORKING, Reaches.EXPORTED),
    IstioKind("WasmPlugin", "wasmplugins", "extensions.istio.io", Reaches.ANYBODY),
    IstioKind("WorkloadEntry", "workloadentries", _NETWORKING, Reaches.ANYBODY),
    IstioKind("WorkloadGroup", "workloadgroups", _NETWORKING, Reaches.ANYBODY),
)
"""Every kind of Istio 1.22 and later, by name."""
CHANGEABLE: Final = tuple(one for one in KINDS if one.reaches in (Reaches.NAMESPACE, Reaches.EXPORTED))
"""Those of which it can be told whom they reach."""
BY_NAME: Final = {one.kind: one for one in KINDS}
