"""Names of hosts as istiod resolves and compares them (``pilot/pkg/model/config.go`` ResolveShortnameToFQDN)."""

from __future__ import annotations

from typing import Final

CLUSTER_DOMAIN: Final = "cluster.local"


def resolve_host(host: str, namespace: str, *, domain: str = CLUSTER_DOMAIN) -> str:
    """The fully qualified name that istiod makes of a host.

    A name without a dot belongs to the namespace of the object that names it; any name with a dot is taken literally,
    so ``ratings.staging`` stays ``ratings.staging`` and matches no Kubernetes service.
    """
    return host if "." in host or "*" in host else f"{host}.{namespace}.svc.{domain}"


def service_fqdn(name: str, namespace: str, *, domain: str = CLUSTER_DOMAIN) -> str:
    """The name under which Istio's registry keeps a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{domain}"


def service_of(fqdn: str, *, domain: str = CLUSTER_DOMAIN) -> tuple[str, str] | None:
    """``(namespace, name)`` of the Kubernetes Service with this registry name; ``None`` for any other host."""
    suffix = f".svc.{domain}"
    name, dot, namespace = fqdn.removesuffix(suffix).partition(".")
    return (namespace, name) if fqdn.endswith(suffix) and dot and "." not in namespace and name else None


def host_matches(pattern: str, host: str) -> bool:
    """Whether a resolved VirtualService host (maybe ``*.suffix``) covers a registry host."""
    if pattern.startswith("*"):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    return pattern == host
