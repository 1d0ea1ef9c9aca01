"""Manifests of the user's, loaded instead of the shop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chaos.errors import InputError
from chaos.istio.injection import NAMESPACE_LABEL
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.proxy import CONTAINER, TEMPLATES
from chaos.lab.api.resources import GATEWAYS, NAMESPACES, WORKLOADS
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validator
from chaos.lab.behaviours import Behaviours
from chaos.lab.manifests import create
from chaos.lab.reading import Document
from chaos.lab.workloads.behaviour import ANNOTATION

_LABELS: Final = {"env": "staging", NAMESPACE_LABEL: "enabled"}
"""Labels of a namespace that no manifest declares: the lab is for experiments."""
_ORDER: Final = ("Namespace", "ServiceAccount", "Service", "DestinationRule", "Gateway", "VirtualService")
Object = dict[str, Any]


def load(
    store: Store,
    validators: Mapping[str, Validator],
    documents: Sequence[Document],
    behaviours: Behaviours,
) -> tuple[str, ...]:
    """Stores the objects; namespaces that no manifest declares are made, and an ingress gateway where a Gateway wants it.

    Returns:
        The namespaces in which something was loaded, in the order of their first object.

    Raises:
        InputError: A behaviour is for nothing that is there.
        LabError: An object is refused, as the API would refuse it.
    """
    for one in documents:
        if one.resource.namespaced:
            one.obj["metadata"]["namespace"] = one.obj["metadata"].get("namespace") or "default"
    places = list(dict.fromkeys(str(d.obj["metadata"]["namespace"]) for d in documents if d.resource.namespaced))
    unused = set(behaviours.names)
    ordered = sorted(documents, key=lambda d: _ORDER.index(d.obj["kind"]) if d.obj["kind"] in _ORDER else len(_ORDER))
    declared = {str(d.obj["metadata"]["name"]) for d in documents if d.resource is NAMESPACES}
    for name in places:
        if name not in declared:
            _namespace(store, name)
    for one in ordered:
        if one.resource is NAMESPACES and store.find(NAMESPACES, None, one.obj["metadata"]["name"]) is not None:
            continue
        if one.resource in WORKLOADS:
            unused -= _annotate(one.obj, behaviours)
        create(store, validators, one.obj)
    if unused:
        named = sorted(str(d.obj["metadata"]["name"]) for d in documents if d.resource in WORKLOADS)
        raise InputError(
            f"the manifests have no workload for the behaviours of {', '.join(sorted(unused))}",
            hint=f"name the workloads as the manifests do ({', '.join(named) or 'there are none'}), or by their pods' label app",
        )
    if any(_wants_ingress(gateway) for gateway in store.list(GATEWAYS)):
        for obj in ingress_gateway(store.list(GATEWAYS)):
            create(store, validators, obj)
    return tuple(places)


def _namespace(store: Store, name: str) -> None:
    found = store.find(NAMESPACES, None, name)
    if found is None:
        store.create(NAMESPACES, {"metadata": {"name": name, "labels": dict(_LABELS)}})
    elif name == "default":
        labels = {**(found["metadata"].get("labels") or {}), **_LABELS}
        store.replace(NAMESPACES, None, name, {**found, "metadata": {**found["metadata"], "labels": labels}})


def _annotate(workload: Object, behaviours: Behaviours) -> set[str]:
    """Gives a workload of a stand-in its behaviour, and returns the name that the file has for it, if any."""
    spec = workload.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    meta = template.get("metadata") if isinstance(template, dict) else None
    if not isinstance(meta, dict):
        return set()  # without labels in its template it is refused when it is created
    chosen = behaviours.name_of(workload["metadata"]["name"], meta.get("labels") or {})
    if chosen is None:
        return set()
    if chosen in behaviours.standins:
        meta.setdefault("annotations", {}).setdefault(ANNOTATION, behaviours.standins[chosen])
    return {chosen}


def _wants_ingress(gateway: Mapping[str, Any]) -> bool:
    return (gateway["spec"].get("selector") or {}) == {"istio": "ingressgateway"}


def _unprivileged(number: int) -> int:
    """Where the gateway listens for a port that only root may take: 80 becomes 8080, as Istio's own gateway has it."""
    return number if number >= 1024 else number + 8000


def ingress_gateway(gateways: Sequence[Mapping[str, Any]]) -> list[Object]:
    """Istio's own ingress gateway, for the Gateways that select ``istio: ingressgateway``."""
    declared = {s["port"]["number"] for g in gateways if _wants_ingress(g) for s in g["spec"].get("servers") or ()}
    numbers = [*sorted(declared), *sorted({80, 443} - declared)]  # Istio's has these two in any case
    labels = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    meta = {"name": "istio-ingressgateway", "namespace": ROOT_NAMESPACE, "labels": labels}
    ports = [{"name": f"http-{number}", "port": number, "targetPort": _unprivileged(number)} for number in numbers]
    container = {
        "name": CONTAINER,
        "image": "auto",
        "ports": [
            {"name": f"port-{number}", "containerPort": number} for number in sorted(set(map(_unprivileged, numbers)))
        ],
    }
    template = {
        "metadata": {"labels": labels, "annotations": {TEMPLATES: "gateway"}},
        "spec": {"serviceAccountName": "istio-ingressgateway", "containers": [container]},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": dict(meta),
            "spec": {"type": "LoadBalancer", "selector": labels, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": dict(meta),
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    ]
