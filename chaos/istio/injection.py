"""Which control plane puts a proxy into which pod, and what the proxy was told then.

Sources: istiod ``pkg/kube/inject/inject.go`` (injectRequired), the charts' ``mutatingwebhook.yaml`` and ``injection-template.yaml``.
"""

from __future__ import annotations

import json
import re
from typing import Final

from chaos.istio.exports import Object
from chaos.istio.proxy import proxy_container

NAMESPACE_LABEL: Final = "istio-injection"
"""Label of a namespace: with ``enabled``, the default control plane injects its pods."""
REVISION_LABEL: Final = "istio.io/rev"
"""Label of a namespace or a pod: the revision, or a tag of one, whose control plane injects."""
POD_LABEL: Final = "sidecar.istio.io/inject"
"""Label of a pod, or older an annotation: whether it is injected, whatever its namespace says."""
STATUS: Final = "sidecar.istio.io/status"
"""Annotation that the injector leaves on a pod."""
DEFAULT_REVISION: Final = "default"
_DOMAIN: Final = re.compile(r"[^.]+\.svc\.(.+)")


def injecting_revision(namespace: Object) -> str | None:
    """The revision, or a tag of one, whose control plane injects a namespace's pods; ``None`` where none does.

    ``istio-injection`` comes before ``istio.io/rev``, whatever its value.
    """
    labels = namespace["metadata"].get("labels") or {}
    if NAMESPACE_LABEL in labels:
        return DEFAULT_REVISION if labels[NAMESPACE_LABEL] == "enabled" else None
    return labels.get(REVISION_LABEL) or None


def is_injected(pod: Object, namespace: Object) -> bool:
    """Whether the default control plane puts a proxy into a pod.

    The pod's own label (or, older, annotation) decides before the namespace's label; pods of the host network, and those
    that have a proxy already, never get one.
    """
    meta = pod["metadata"]
    if pod["spec"].get("hostNetwork") or proxy_container(pod) is not None:
        return False
    own = (meta.get("labels") or {}).get(POD_LABEL, (meta.get("annotations") or {}).get(POD_LABEL))
    if own is not None:
        return str(own).lower() in ("true", "y", "yes", "on")
    return injecting_revision(namespace) == DEFAULT_REVISION


def revision_of(pod: Object) -> str:
    """The revision of the control plane that injected the pod's proxy, and configures it."""
    meta = pod["metadata"]
    try:
        status = json.loads((meta.get("annotations") or {}).get(STATUS) or "{}")
    except ValueError:
        status = {}
    told = status.get("revision") if isinstance(status, dict) else None
    return str(told or (meta.get("labels") or {}).get(REVISION_LABEL) or DEFAULT_REVISION)


def domain_of(pod: Object) -> str | None:
    """The cluster's DNS domain, which the pod's proxy was started with; ``None`` where it was not told."""
    arguments = [str(one) for one in (proxy_container(pod) or {}).get("args") or ()]
    for at, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--domain":
            found = _DOMAIN.fullmatch(value or next(iter(arguments[at + 1 :]), ""))
            return found[1].removesuffix(".") if found else None
    return None
