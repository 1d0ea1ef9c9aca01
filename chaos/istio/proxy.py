"""What an Istio proxy in a pod is there for. Pure functions over plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CONTAINER: Final = "istio-proxy"
"""Name of the container of every Istio proxy: of sidecars, gateways, waypoints and ztunnels."""
TEMPLATES: Final = "inject.istio.io/templates"
"""Annotation with the injector's templates that a pod asks for, separated by commas."""
SIDECAR: Final = "sidecar"
"""The role of the proxies that follow VirtualServices of the mesh."""
ROUTER: Final = "router"
"""The role of gateways."""


def proxy_container(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The container of a pod's Istio proxy, also where it is a native sidecar; ``None`` for a pod without one."""
    spec = pod.get("spec") or {}
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return next((container for container in containers if container.get("name") == CONTAINER), None)


def proxy_role(pod: Mapping[str, Any]) -> str:
    """``sidecar``, ``router`` (a gateway), ``waypoint`` or ``ztunnel``; empty for a pod without an Istio proxy.

    The proxy's own arguments say it (initProxy in istiod ``pilot/cmd/pilot-agent/app/cmd.go``: none is a sidecar). They
    are the same whoever wrote them: the injector (``gateway-injection-template.yaml``), or istiod for a Gateway of the
    Gateway API (``kube-gateway.yaml``, ``waypoint.yaml``), whose pods are not injected. Labels don't say it: a Gateway may
    select pods by any. A pod that the injector has not completed has no arguments yet; there its templates decide.
    """
    proxy = proxy_container(pod)
    if proxy is None:
        return ""
    words = [str(word) for word in (*(proxy.get("command") or ()), *(proxy.get("args") or ()))]
    if "proxy" in words:
        said = words[words.index("proxy") + 1 :][:1]
        return said[0] if said and not said[0].startswith("-") else SIDECAR
    asked = str((pod["metadata"].get("annotations") or {}).get(TEMPLATES, "")).split(",")
    return ROUTER if "gateway" in (template.strip() for template in asked) else SIDECAR
