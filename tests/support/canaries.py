"""A service behind whose name routes lead to several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Object = dict[str, Any]
ANSWERED: Final = '{title: answered, service: order-svc, good: {status: "<500"}, atLeast: 95%}'
FLAGGER: Final = {
    "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "order-svc", "uid": "c", "controller": True,
    "blockOwnerDeletion": True,
}  # fmt: skip


def split(service: str, weights: Mapping[str, int]) -> Object:
    """A VirtualService that sends a service's requests to others, as Flagger and Argo Rollouts write it."""
    names = {name: f"{service}-{name}" for name in weights}
    parts = [{"destination": {"host": names[name]}, "weight": weight} for name, weight in weights.items()]
    meta = {"name": service, "namespace": "staging", "ownerReferences": [FLAGGER]}
    return {"kind": "VirtualService", "metadata": meta, "spec": {"hosts": [service], "http": [{"route": parts}]}}
