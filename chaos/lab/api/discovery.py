"""What the API says of itself: groups, versions, resources, a minimal OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from chaos.lab.api.definitions import schemas
from chaos.lab.api.resources import RESOURCES, Resource

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_CUSTOM_VERBS: Final = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
_REVIEWS: Final = {
    "authorization.k8s.io": ("SelfSubjectAccessReview", "SelfSubjectRulesReview"),
    "authentication.k8s.io": ("SelfSubjectReview",),
}

VERSION: Final = {
    "major": "1", "minor": "30", "gitVersion": "v1.30.0-lab", "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
    "goVersion": "", "compiler": "", "platform": "linux/amd64",
}  # fmt: skip


def versions(address: str) -> dict[str, Any]:
    """``/api``, of a server at this address."""
    everywhere = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [everywhere]}


def _groups() -> dict[str, tuple[str, ...]]:
    groups = {resource.group: resource.versions for resource in RESOURCES if resource.group}
    return {**groups, **dict.fromkeys(_REVIEWS, ("v1",))}


def group(name: str) -> dict[str, Any] | None:
    """``/apis/<group>``."""
    served = _groups().get(name)
    if served is None:
        return None
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in served]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": listed, "preferredVersion": listed[0]}


def groups() -> dict[str, Any]:
    """``/apis``."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(name) for name in _groups()]}


def resources(name: str, version: str) -> dict[str, Any] | None:
    """``/api/v1`` and ``/apis/<group>/<version>``."""
    if name in _REVIEWS and version == "v1":
        listed: list[dict[str, Any]] = [
            {
                "name": f"{kind.lower()}s",
                "singularName": kind.lower(),
                "namespaced": False,
                "kind": kind,
                "verbs": ["create"],
            }
            for kind in _REVIEWS[name]
        ]
    else:
        served = [r for r in RESOURCES if r.group == name and version in r.versions]
        if not served:
            return None
        listed = [entry for resource in served for entry in _entries(resource)]
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{name}/{version}" if name else version,
        "resources": listed,
    }  # fmt: skip


def _entries(res: Resource) -> list[dict[str, Any]]:
    verbs = [verb for verb in _VERBS if res.collection_deleted or verb != "deletecollection"]
    entry: dict[str, Any] = {
        "name": res.plural, "singularName": res.singular, "namespaced": res.namespaced, "kind": res.kind,
        "verbs": _CUSTOM_VERBS if res.custom else verbs,
    }  # fmt: skip
    if res.short_names:
        entry["shortNames"] = list(res.short_names)
    if res.categories:
        entry["categories"] = list(res.categories)
    sub = {"singularName": "", "namespaced": res.namespaced, "kind": res.kind, "verbs": ["get", "patch", "update"]}
    entries = [entry, *([{"name": f"{res.plural}/status", **sub}] if res.status else [])]
    if res.scalable:
        entries.append({"name": f"{res.plural}/scale", **sub, "group": "autoscaling", "version": "v1", "kind": "Scale"})
    if res.plural == "serviceaccounts":
        token = {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest", "verbs": ["create"]}
        entries.append({"name": "serviceaccounts/token", **sub, **token})
    if res.plural == "pods":
        entries.append({"name": "pods/exec", **sub, "kind": "PodExecOptions", "verbs": ["create", "get"]})
        entries.append({"name": "pods/log", **sub, "kind": "Pod", "verbs": ["get"]})
    return entries


def openapi_v2() -> dict[str, Any]:
    """``/openapi/v2``: schemas that say nothing of fields, so clients leave validation to the server."""
    return {
        "swagger": "2.0",
        "info": {"title": "lab", "version": VERSION["gitVersion"]},
        "paths": {},
        "definitions": _definitions(),
    }


OPENAPI_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def openapi_v2_protobuf() -> bytes:
    """The same for kubectl up to 1.27, which reads nothing else: ``Document{swagger, info{title, version}}``, no definitions."""

    def field(number: int, value: bytes) -> bytes:
        return bytes((number << 3 | 2, len(value))) + value

    info = field(1, b"lab") + field(2, VERSION["gitVersion"].encode())
    return field(1, b"2.0") + field(2, info)


def openapi_v3_index() -> dict[str, Any]:
    """``/openapi/v3``."""
    paths = ["api/v1", *(f"apis/{name}/{version}" for name, served in _groups().items() for version in served)]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}}


def openapi_v3(path: str, definitions: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """``/openapi/v3/<path>``: paths with the query parameters that kubectl looks for; schemas where CRDs have them."""
    name, version = ("", "v1") if path == "api/v1" else tuple(path.split("/")[1:3])
    parameters = [
        {"name": n, "in": "query", "schema": {"type": "string"}} for n in ("dryRun", "fieldManager", "fieldValidation")
    ]
    paths: dict[str, Any] = {}
    for res in (r for r in RESOURCES if r.group == name and version in r.versions):
        kind = {"group": name, "version": version, "kind": res.kind}
        where = "/namespaces/{namespace}" if res.namespaced else ""
        patch = {"parameters": parameters, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": kind}
        paths[f"/{path}{where}/{res.plural}/{{name}}"] = {"patch": patch}
    return {
        "openapi": "3.0.0", "info": {"title": "lab", "version": VERSION["gitVersion"]}, "paths": paths,
        "components": {"schemas": _definitions(schemas(definitions))},
    }  # fmt: skip


def _definitions(
    known: Mapping[tuple[str, str, str], Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    found = {}
    for res in RESOURCES:
        for version in res.versions:
            kind = {"group": res.group, "version": version, "kind": res.kind}
            schema = known.get((res.group, version, res.kind)) or {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
            }
            found[f"lab.{res.group or 'core'}.{version}.{res.kind}"] = {
                **schema,
                "x-kubernetes-group-version-kind": [kind],
            }
    return found
