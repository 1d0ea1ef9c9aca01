"""The lab's schemas against Istio's own CRDs: every field is known, of the same type, and none is invented."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.lab.istio.validation.schema import Node
from tests.contract.istio_crds import CRDS, NEWEST, SCHEMAS, crds, needs_crds, ours, theirs

pytestmark = needs_crds
KINDS = {
    "string": {"string", "duration", "bytes"},
    "integer": {"integer"},
    "number": {"number"},
    "boolean": {"boolean"},
}


@pytest.mark.parametrize("release", CRDS)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_of_the_crd_is_known_and_has_its_type(kind: str, release: str) -> None:
    """Supported, or marked as not supported: then anything below it is rejected with its path."""
    known = dict(ours(SCHEMAS[kind]))
    dark = {path for path, node in known.items() if not node.supported}
    missing, different = [], []
    for path, schema in theirs(crds(release)[kind]):
        if any(path[: len(other)] == other for other in dark):
            continue
        node = known.get(path)
        if node is None:
            missing.append(".".join(path))
            continue
        declared = schema.get("type")
        if declared in KINDS and node.kind not in KINDS[declared]:
            different.append(f"{'.'.join(path)}: {declared} there, {node.kind} here")
        if declared in ("array", "object") and node.kind != declared:
            different.append(f"{'.'.join(path)}: {declared} there, {node.kind} here")
        enum = set(map(str, schema.get("enum") or ()))
        if enum and node.enum and not (enum == set(node.enum) if release == NEWEST else enum <= set(node.enum)):
            different.append(f"{'.'.join(path)}: {schema['enum']} there, {node.enum} here")
    assert missing == []
    assert different == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_what_bounds_a_field_there_bounds_it_here(kind: str) -> None:
    """Lengths, keys of lists, and the fields of which only one may be given."""
    spec = crds(NEWEST)[kind]
    there = {(): spec, **dict(theirs(spec))}
    wrong = []
    for path, node in {(): SCHEMAS[kind], **dict(ours(SCHEMAS[kind]))}.items():
        if not node.supported:
            continue
        pairs = [(path, node, there[path])]
        if node.kind == "array" and node.items is not None:
            pairs.append(((*path, "[]"), node.items, there[path]["items"]))
        wrong += [
            f"{'.'.join(where)}: {bounds(schema)} there" for where, one, schema in pairs if bounds(schema) != known(one)
        ]
    assert wrong == []


def known(node: Node) -> dict[str, Any]:
    groups = {frozenset(group) for group in node.one_of}
    return {"shortest": node.shortest, "longest": node.longest, "unique": node.unique, "one of": groups - BY_RULE}


BY_RULE = {
    frozenset({"workloadSelector", "endpoints"}),
    frozenset({"selector", "targetRef", "targetRefs"}),
    frozenset({"tlsCertificates", "credentialNames"}),
    frozenset({"credentialName", "credentialNames"}),
}
"""Which the CRDs say in CEL: test_crd_rules looks after those."""


def bounds(schema: dict[str, Any]) -> dict[str, Any]:
    def bound(side: str) -> Any:
        return next(
            (schema[f"{side}{what}"] for what in ("Length", "Items", "Properties") if f"{side}{what}" in schema), None
        )

    choices = [schema, *(schema.get("allOf") or ())]
    groups = {
        frozenset(one["required"][0] for one in choice["oneOf"] if "required" in one)
        for choice in choices
        if "oneOf" in choice
    }
    return {
        "shortest": bound("min") or 0,
        "longest": bound("max"),
        "unique": "".join(schema.get("x-kubernetes-list-map-keys") or ()),
        "one of": {group for group in groups if len(group) > 1},
    }


@pytest.mark.parametrize("kind", SCHEMAS)
def test_no_field_is_invented(kind: str) -> None:
    """What no release has would be pruned there; here it has to be unknown as well."""
    real = {path for release in CRDS for path, _ in theirs(crds(release)[kind])}
    assert sorted(".".join(path) for path, _ in ours(SCHEMAS[kind]) if path not in real) == []


@pytest.mark.parametrize("release", CRDS)
@pytest.mark.parametrize("kind", SCHEMAS)
def test_what_is_required_there_is_required_here(kind: str, release: str) -> None:
    known = {(): SCHEMAS[kind], **dict(ours(SCHEMAS[kind]))}
    dark = {path for path, node in known.items() if not node.supported}
    wrong = []
    for path, schema in [((), crds(release)[kind]), *theirs(crds(release)[kind])]:
        if any(path[: len(other)] == other for other in dark):
            continue
        inner = schema.get("items") or schema
        node = known[path]
        node = (node.items if node.kind == "array" else None) or node
        if inner.get("type") == "object" and set(inner.get("required") or ()) - set(node.required):
            wrong.append(f"{'.'.join(path)}: {inner['required']} there, {node.required} here")
    assert wrong == []
