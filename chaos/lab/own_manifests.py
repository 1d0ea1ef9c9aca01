"""Manifests of the user's, loaded instead of the shop, and what stand-ins do for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from chaos.errors import InputError
from chaos.istio.injection import NAMESPACE_LABEL
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.proxy import CONTAINER, TEMPLATES
from chaos.lab.api.resources import DEPLOYMENTS, GATEWAYS, NAMESPACES, ROLLOUTS
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validator
from chaos.lab.manifests import create
from chaos.lab.reading import Document
from chaos.lab.workloads.behaviour import ANNOTATION, Behaviour

_LABELS: Final = {"env": "staging", NAMESPACE_LABEL: "enabled"}
"""Of a namespace that no manifest declares: the lab is there to experiment in."""
_ORDER: Final = ("Namespace", "ServiceAccount", "Service", "DestinationRule", "Gateway", "VirtualService")
Object = dict[str, Any]


def read_behaviours(file: Path) -> Mapping[str, str]:
    """What stand-ins do, by the names of their Deployments or by their pods' label ``app``: a behaviour each, as text.

    Raises:
        InputError: It can't be read, or one of them is none.
    """
    try:
        content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InputError(f"{file}: can't be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise InputError(f"{file}: expected a mapping from Deployments' names to behaviours")
    texts = {str(name): json.dumps(value) for name, value in content.items()}
    for name, text in texts.items():
        Behaviour.parse(text, where=f"{file}: {name}")
    return texts


def load(
    store: Store,
    validators: Mapping[str, Validator],
    documents: Sequence[Document],
    behaviours: Mapping[str, str],
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
            one.obj["metadata"].setdefault("namespace", "default")
    places = list(dict.fromkeys(str(d.obj["metadata"]["namespace"]) for d in documents if d.resource.namespaced))
    unused = set(behaviours)
    ordered = sorted(documents, key=lambda d: _ORDER.index(d.obj["kind"]) if d.obj["kind"] in _ORDER else len(_ORDER))
    declared = {str(d.obj["metadata"]["name"]) for d in documents if d.resource is NAMESPACES}
    for name in places:
        if name not in declared:
            _namespace(store, name)
    for one in ordered:
        if one.resource is NAMESPACES and store.find(NAMESPACES, None, one.obj["metadata"]["name"]) is not None:
            continue
        if one.resource in (DEPLOYMENTS, ROLLOUTS):
            unused -= _annotate(one.obj, behaviours)
        create(store, validators, one.obj)
    if unused:
        raise InputError(f"there is no Deployment for the behaviours of {', '.join(sorted(unused))}")
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


def _annotate(deployment: Object, behaviours: Mapping[str, str]) -> set[str]:
    """Gives a Deployment its behaviour; which one it was."""
    meta = deployment["spec"]["template"].setdefault("metadata", {})
    app = (meta.get("labels") or {}).get("app", "")
    chosen = next((name for name in (deployment["metadata"]["name"], app) if name in behaviours), None)
    if chosen is None:
        return set()
    meta.setdefault("annotations", {}).setdefault(ANNOTATION, behaviours[chosen])
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
