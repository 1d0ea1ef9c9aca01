"""CustomResourceDefinitions: kept as documentation of the schemas, which ``kubectl explain`` prints.

What the lab serves, and what it takes of it, is decided by the lab and not by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from chaos.lab.api.resources import BY_KIND, Resource
from chaos.lab.api.validation import Cause, Validation


def validate(obj: dict[str, Any]) -> Validation:
    """What Kubernetes would say of a definition's own structure, and a warning for kinds that the lab does not serve."""
    spec = obj.get("spec") or {}
    causes = tuple(Cause(field=field, message=message) for field, message in _problems(obj))
    names = spec.get("names") or {}
    warnings = () if causes or _served(spec) else (f"the lab keeps {names['kind']} as documentation; it is not served",)
    return Validation(causes=causes, warnings=warnings)


def _problems(obj: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    for field, value in (
        ("spec.group", spec.get("group")),
        ("spec.names.kind", names.get("kind")),
        ("spec.names.plural", names.get("plural")),
        ("spec.versions", spec.get("versions")),
    ):
        if not value:
            yield field, "Required value"
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if (obj.get("metadata") or {}).get("name") != wanted:
        yield "metadata.name", f'Invalid value: must be spec.names.plural+"."+spec.group: {wanted}'
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield "spec.scope", 'Unsupported value: supported values: "Cluster", "Namespaced"'
    versions = spec.get("versions") or ()
    if versions and sum(bool(version.get("storage")) for version in versions) != 1:
        yield "spec.versions", "Invalid value: must have exactly one version marked as storage version"
    for at, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield f"spec.versions[{at}].schema.openAPIV3Schema", "Required value: schemas are required"


def status_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The status: established where the lab serves the kind, so that nobody waits for what will not come."""
    spec, served = obj["spec"], _served(obj["spec"]) is not None
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    reason, message = ("InitialNamesAccepted", "the lab serves it")
    if not served:
        reason, message = ("NotServed", "the lab keeps this definition as documentation and does not serve its kind")
    conditions = [
        {
            "type": kind,
            "status": "True" if kind == "NamesAccepted" or served else "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
        }
        for kind in ("NamesAccepted", "Established")
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    return {"conditions": conditions, "acceptedNames": dict(spec["names"]), "storedVersions": stored}


def schemas(definitions: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """OpenAPI schemas by group, version and kind."""
    return {
        (one["spec"]["group"], version["name"], one["spec"]["names"]["kind"]): version["schema"]["openAPIV3Schema"]
        for one in definitions
        for version in one["spec"]["versions"]
    }


def _served(spec: Mapping[str, Any]) -> Resource | None:
    return BY_KIND.get((spec.get("group", ""), (spec.get("names") or {}).get("kind", "")))
