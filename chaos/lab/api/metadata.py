"""What Kubernetes asks of an object's metadata, of every kind: names, labels, annotations, owners, finalizers.

The rules and their words are those of ``apimachinery/pkg/api/validation/objectmeta.go`` and ``pkg/util/validation``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SERVICES,
    Resource,
)
from chaos.lab.api.validation import Cause

Meta = Mapping[str, Any]
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_OF_LABEL: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_OF_SUBDOMAIN: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_OF_QUALIFIED: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_OF_VALUE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_ANNOTATIONS_MOST: Final = 256 * 1024
_IN_PATHS: Final = (ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)
"""Kinds whose names only have to fit into a path."""
_GENERATED: Final = 5
"""Characters that ``generateName`` gets."""


def problems(res: Resource, meta: Meta) -> Iterator[Cause]:
    """What is wrong with a new object's metadata."""
    prefix, name = meta.get("generateName") or "", meta.get("name") or ""
    if prefix:
        for why in name_problems(res, prefix[:-1] + "a" if prefix.endswith(("-", ".")) else prefix):
            yield Cause.invalid("metadata.generateName", prefix, why)
    if not name:
        yield Cause.required("metadata.name", "name or generateName is required")
    else:
        for why in name_problems(res, name):
            yield Cause.invalid("metadata.name", name, why)
    yield from _always(meta)


def changed_problems(new: Meta, old: Meta) -> Iterator[Cause]:
    """What is wrong with metadata that replaces other: each rule is asked twice, as Kubernetes does for every kind."""
    for _ in range(2):
        added = [one for one in new.get("finalizers") or () if one not in (old.get("finalizers") or ())]
        if old.get("deletionTimestamp") and added:
            told = ", ".join(json.dumps(one) for one in added)
            yield Cause.forbidden(
                "metadata.finalizers",
                f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{told}}}",
            )
        for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"):
            if new.get(key) != old.get(key):
                yield Cause.invalid(f"metadata.{key}", new.get(key), "field is immutable")
        yield from _always(new)


def warnings(meta: Meta) -> Iterator[str]:
    """What is taken, with a word."""
    for name in meta.get("finalizers") or ():
        if "/" not in name and name not in ("orphan", "foregroundDeletion", "kubernetes"):
            yield (
                f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name to avoid accidental conflicts '
                "with other finalizer writers"
            )


def told_once(meta: dict[str, Any]) -> Iterator[str]:
    """Takes out owners that are named twice in the same words, and says so."""
    owners = meta.get("ownerReferences") or []
    once = [owner for at, owner in enumerate(owners) if owner not in owners[:at]]
    if len(once) < len(owners):
        twice = dict.fromkeys(owner.get("uid", "") for at, owner in enumerate(owners) if owner in owners[:at])
        meta["ownerReferences"] = once
        yield (
            "metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
            f"such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {', '.join(twice)}"
        )


def name_problems(res: Resource, name: str) -> list[str]:
    """What is wrong with a name, by its kind."""
    if res in _IN_PATHS:
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [f"may not contain '{char}'" for char in "/%" if char in name]
    if res in (NAMESPACES, SERVICES):
        dotted = _SUBDOMAIN.fullmatch(name) is not None
        return _matches(name, 63, _LABEL, "must not contain dots" if dotted else _OF_LABEL)
    return _matches(name, 253, _SUBDOMAIN, _OF_SUBDOMAIN)


def qualified_name_problems(name: str) -> list[str]:
    """What is wrong with the key of a label or an annotation."""
    parts = name.split("/")
    if len(parts) > 2:
        return [
            f"a qualified name {_OF_QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    found = []
    if len(parts) == 2:
        if not parts[0]:
            found.append("prefix part must be non-empty")
        else:
            found += [f"prefix part {why}" for why in _matches(parts[0], 253, _SUBDOMAIN, _OF_SUBDOMAIN)]
    if not parts[-1]:
        found.append("name part must be non-empty")
    elif len(parts[-1]) > 63:
        found.append("name part must be no more than 63 characters")
    if not _QUALIFIED.fullmatch(parts[-1]):
        found.append(f"name part {_OF_QUALIFIED}")
    return found


def label_value_problems(value: str) -> list[str]:
    """What is wrong with the value of a label."""
    return _matches(value, 63, _VALUE, _OF_VALUE)


def generated(prefix: str, suffix: str) -> str:
    """A name of ``generateName``, whose prefix is cut so that it stays within a label's length."""
    return prefix[: 63 - _GENERATED] + suffix[:_GENERATED]


def _matches(text: str, most: int, pattern: re.Pattern[str], rule: str) -> list[str]:
    found = [f"must be no more than {most} characters"] if len(text.encode()) > most else []
    return found if pattern.fullmatch(text) else [*found, rule]


def _always(meta: Meta) -> Iterator[Cause]:
    for key, value in (meta.get("labels") or {}).items():
        for why in qualified_name_problems(key):
            yield Cause.invalid("metadata.labels", key, why)
        for why in label_value_problems(value):
            yield Cause.invalid("metadata.labels", value, why)
    annotations = meta.get("annotations") or {}
    for key in annotations:
        for why in qualified_name_problems(key.lower()):
            yield Cause.invalid("metadata.annotations", key, why)
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _ANNOTATIONS_MOST:
        yield Cause.too_long("metadata.annotations", _ANNOTATIONS_MOST)
    yield from _owners(meta.get("ownerReferences") or ())
    for name in meta.get("finalizers") or ():
        for why in qualified_name_problems(name):
            yield Cause.invalid("metadata.finalizers", name, why)


def _owners(owners: Any) -> Iterator[Cause]:
    controller: Meta | None = None
    for owner in owners:
        api_version = owner.get("apiVersion") or ""
        if not api_version or api_version.count("/") > 1 or api_version.endswith("/"):
            yield Cause.invalid("metadata.ownerReferences.apiVersion", api_version, "version must not be empty")
        for key in ("kind", "name", "uid"):
            if not owner.get(key):
                yield Cause.invalid(f"metadata.ownerReferences.{key}", "", "must not be empty")
        if owner.get("controller"):
            if controller is not None:
                both = " and ".join(f"{one.get('kind')}/{one.get('name')}" for one in (controller, owner))
                shown = [{k: one[k] for k in _OWNER if k in one} for one in owners]
                why = f'Only one reference can have Controller set to true. Found "true" in references for {both}'
                yield Cause.invalid("metadata.ownerReferences", shown, why)
            controller = owner


_OWNER: Final = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
