"""Names of hosts, as istiod resolves and compares them.

Sources: istiod ``pilot/pkg/model/config.go`` (ResolveShortnameToFQDN), ``pkg/config/host/name.go`` (Matches, SubsetOf),
``pilot/pkg/networking/core/httproute.go`` (GenerateAltVirtualHosts).
"""

from __future__ import annotations

from typing import Final

CLUSTER_DOMAIN: Final = "cluster.local"


def resolve_host(host: str, namespace: str, *, domain: str = CLUSTER_DOMAIN) -> str:
    """The fully qualified name that istiod makes of a host.

    A name without a dot belongs to the namespace of the object that names it; any name with a dot is taken literally,
    so ``ratings.staging`` stays ``ratings.staging``: it is not the Service's registry name.
    """
    return host if "." in host or "*" in host else f"{host}.{namespace}.svc.{domain}"


def service_fqdn(name: str, namespace: str, *, domain: str = CLUSTER_DOMAIN) -> str:
    """The name under which Istio's registry keeps a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{domain}"


def placed(name: str, namespace: str) -> tuple[str, str]:
    """``(namespace, name)`` of what people write as ``name`` or ``namespace/name``; the former is in ``namespace``."""
    home, slash, rest = name.partition("/")
    return (home, rest) if slash else (namespace, name)


def host_of(service: str, namespace: str) -> str:
    """The registry name of a Service that people write as ``name``, in ``namespace``, or as ``namespace/name``."""
    home, name = placed(service, namespace)
    return service_fqdn(name, home)


def service_of(fqdn: str, *, domain: str = CLUSTER_DOMAIN) -> tuple[str, str] | None:
    """``(namespace, name)`` of the Kubernetes Service with this registry name; ``None`` for any other host."""
    suffix = f".svc.{domain}"
    name, dot, namespace = fqdn.removesuffix(suffix).partition(".")
    return (namespace, name) if fqdn.endswith(suffix) and dot and "." not in namespace and name else None


def short(host: str, namespace: str) -> str:
    """A host as people in a namespace write it: ``name``, ``namespace/name``, or what is no Service of Kubernetes as it is."""
    home, name = service_of(host) or ("", host)
    return name if home in ("", namespace) else f"{home}/{name}"


def is_wildcard(host: str) -> bool:
    """Whether a host stands for many."""
    return host.startswith("*")


def host_matches(pattern: str, host: str) -> bool:
    """Whether a resolved VirtualService host (maybe ``*.suffix``) covers a registry host."""
    if is_wildcard(pattern):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    return pattern == host


def within(host: str, pattern: str) -> bool:
    """Whether all that a host stands for is covered by a pattern (host.Name.SubsetOf)."""
    if is_wildcard(host):
        return is_wildcard(pattern) and len(host) >= len(pattern) and host[1:].endswith(pattern[1:])
    return host.endswith(pattern[1:]) if is_wildcard(pattern) else host == pattern


def overlap(one: str, other: str) -> bool:
    """Whether two hosts, either of which may be a wildcard, have a name in common (host.Name.Matches)."""
    return within(one, other) or within(other, one)


def other_names(host: str, namespace: str, *, domain: str = CLUSTER_DOMAIN) -> tuple[str, ...]:
    """What else a client in a namespace may call a registry host: with a final dot, and a Service's by its short names.

    The name alone is for clients of the Service's own namespace only.
    """
    found = [f"{host}."]
    suffix = f".svc.{domain}"
    short = host.removesuffix(suffix)
    if host.endswith(suffix) and "." in short:
        name, _, home = short.partition(".")
        found += ([name] if home == namespace else []) + [f"{short}.svc", short]
    return tuple(found)
