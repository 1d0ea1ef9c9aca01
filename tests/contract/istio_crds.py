"""Istio's own CRDs, where they are beside the checkout, and the lab's schemas of the same kinds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.lab.istio.validation import (
    authorization_policy,
    destination_rule,
    gateway,
    peer_authentication,
    service_entry,
    sidecar,
    virtual_service,
)
from chaos.lab.istio.validation.schema import Node

DATA = Path(__file__).parents[3] / "shared" / "data"
CRDS = {"1.22.0": DATA / "istio-crds-1.22.0.yaml", "1.30.3": DATA / "istio-crds.yaml"}
NEWEST = "1.30.3"
"""Later releases only add values to an enum."""
SCHEMAS = {
    "VirtualService": virtual_service.SPEC,
    "DestinationRule": destination_rule.SPEC,
    "Gateway": gateway.SPEC,
    "ServiceEntry": service_entry.SPEC,
    "Sidecar": sidecar.SPEC,
    "PeerAuthentication": peer_authentication.SPEC,
    "AuthorizationPolicy": authorization_policy.SPEC,
}
needs_crds = pytest.mark.skipif(
    not all(file.is_file() for file in CRDS.values()), reason="Istio's CRDs are not beside this checkout"
)
Field = tuple[str, ...]


@cache
def crds(release: str) -> dict[str, dict[str, Any]]:
    """The ``spec`` of each kind in its storage version; all served versions have the same schema."""
    found = {}
    for document in yaml.load_all(CRDS[release].read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
        if document and document["kind"] == "CustomResourceDefinition":
            stored = next(version for version in document["spec"]["versions"] if version["storage"])
            found[document["spec"]["names"]["kind"]] = stored["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def theirs(schema: dict[str, Any], path: Field = ()) -> Iterator[tuple[Field, dict[str, Any]]]:
    """Every field of a CRD with its own schema."""
    for name, inner in (schema.get("properties") or {}).items():
        yield (*path, name), inner
        yield from theirs(inner.get("items") or inner, (*path, name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from theirs(schema["additionalProperties"], (*path, "*"))


def ours(node: Node, path: Field = ()) -> Iterator[tuple[Field, Node]]:
    for name, inner in node.fields.items():
        yield (*path, name), inner
        yield from ours(inner.items if inner.kind == "array" and inner.items else inner, (*path, name))
    if node.kind == "object" and node.items is not None:
        yield from ours(node.items, (*path, "*"))
