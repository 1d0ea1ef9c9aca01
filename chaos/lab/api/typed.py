"""What the API server's own types take of a body: field by field, as Go's JSON decoder and apimachinery's times do.

Every kind's metadata is read so; of whole kinds those that the harness and its users write by hand: a mistake in a Lease,
an Event or a ConfigMap has to fail here as on a cluster. Of Pods, Deployments and Services it is what rules and controllers
here look at; other kinds are taken as they are.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chaos.lab.api.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from chaos.lab.api.validation import Path

_DATE: Final = (
    (r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"), (r"\d\d", "15"), (":", ":"),
    (r"\d\d", "04"), (":", ":"),
)  # fmt: skip
_ZONE: Final = (r"Z|[+-]\d\d:\d\d", "Z07:00")
_LAYOUTS: Final = {
    "time": ("2006-01-02T15:04:05Z07:00", (*_DATE, (r"\d\d(?:\.\d+)?", "05"), _ZONE)),
    "microtime": ("2006-01-02T15:04:05.000000Z07:00", (*_DATE, (r"\d\d", "05"), (r"\.\d{6}", ".000000"), _ZONE)),
}
"""``metav1.Time`` and ``metav1.MicroTime``: Go's layout, and its parts."""
_LIMITS: Final = {"int32": 2**31, "int64": 2**63}


class Unfit(Exception):
    """A value that the type can't take."""


@dataclass(frozen=True)
class Each:
    """A list or a map of one type."""

    of: str | Struct
    keyed: bool = False


@dataclass(frozen=True)
class Struct:
    """A Go struct.

    Args:
        name: Of the type in Go.
        fields: The types of its fields: a name with ``*`` before it is a pointer, whose zero value is kept.
        always: What is shown of fields that were not sent.
        partly: It has more fields, which are taken as they are.
    """

    name: str
    fields: Mapping[str, str | Struct | Each]
    always: Mapping[str, Any] | None = None
    partly: bool = False


_TEXTS: Final = Each("string", keyed=True)
_OWNER: Final = Struct("OwnerReference", {
    "apiVersion": "*string", "kind": "*string", "name": "*string", "uid": "*string", "controller": "*bool",
    "blockOwnerDeletion": "*bool",
})  # fmt: skip
_ENTRY: Final = Struct("ManagedFieldsEntry", {
    "manager": "string", "operation": "string", "apiVersion": "string", "time": "time", "fieldsType": "string",
    "fieldsV1": "any", "subresource": "string",
})  # fmt: skip
METADATA: Final = Struct("ObjectMeta", {
    "name": "string", "generateName": "string", "namespace": "string", "selfLink": "string", "uid": "string",
    "resourceVersion": "string", "generation": "int64", "creationTimestamp": "time", "deletionTimestamp": "time",
    "deletionGracePeriodSeconds": "*int64", "labels": _TEXTS, "annotations": _TEXTS, "ownerReferences": Each(_OWNER),
    "finalizers": Each("string"), "managedFields": Each(_ENTRY),
})  # fmt: skip
_CONTAINERS: Final = Each(Struct("Container", {"name": "string", "image": "string"}, partly=True))
_POD: Final = Struct("PodSpec", {"containers": _CONTAINERS, "initContainers": _CONTAINERS}, partly=True)
_TEMPLATE: Final = Struct("PodTemplateSpec", {
    "metadata": Struct("ObjectMeta", {"labels": _TEXTS, "annotations": _TEXTS}, partly=True), "spec": _POD,
}, partly=True)  # fmt: skip
_REFERENCE: Final = Struct("ObjectReference", dict.fromkeys(
    ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"), "string"))  # fmt: skip
_WHOLE: Final[Mapping[Resource, Struct]] = {
    CONFIG_MAPS: Struct("ConfigMap", {"data": _TEXTS, "binaryData": Each("bytes", keyed=True), "immutable": "*bool"}),
    LEASES: Struct("Lease", {
        "spec": Struct("LeaseSpec", {
            "holderIdentity": "*string", "leaseDurationSeconds": "*int32", "acquireTime": "microtime", "renewTime": "microtime",
            "leaseTransitions": "*int32", "strategy": "nothing", "preferredHolder": "nothing",
        }),
    }, always={"spec": {}}),
    EVENTS: Struct("Event", {
        "involvedObject": _REFERENCE, "reason": "string", "message": "string",
        "source": Struct("EventSource", {"component": "string", "host": "string"}), "firstTimestamp": "time",
        "lastTimestamp": "time", "count": "int32", "type": "string", "eventTime": "microtime",
        "series": Struct("EventSeries", {"count": "int32", "lastObservedTime": "microtime"}), "action": "string",
        "related": _REFERENCE, "reportingComponent": "string", "reportingInstance": "string",
    }, always={
        "involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
        "reportingComponent": "", "reportingInstance": "",
    }),
    PODS: Struct("Pod", {"spec": _POD}, partly=True),
    **{
        one: Struct(one.kind, {
            "spec": Struct(f"{one.kind}Spec", {
                "replicas": "*int32", "selector": Struct("LabelSelector", {"matchLabels": _TEXTS}, partly=True),
                "template": _TEMPLATE,
            }, partly=True),
        }, partly=True)
        for one in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS)
    },
    SERVICES: Struct("Service", {
        "spec": Struct("ServiceSpec", {
            "selector": _TEXTS, "ports": Each(Struct("ServicePort", {"name": "string", "port": "int32"}, partly=True)),
        }, partly=True),
    }, partly=True),
}  # fmt: skip

_DELETE_OPTIONS: Final = Struct("DeleteOptions", {
    "apiVersion": "string", "kind": "string", "gracePeriodSeconds": "*int64", "propagationPolicy": "*string",
    "orphanDependents": "*bool", "dryRun": Each("string"),
    "preconditions": Struct("Preconditions", {"uid": "*string", "resourceVersion": "*string"}),
})  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """An object as its type holds it, and what the type has no place for."""

    object: dict[str, Any]
    unknown: tuple[Path, ...]


def decode(res: Resource, obj: Mapping[str, Any]) -> Decoded:
    """The object as Kubernetes' type of its kind holds it.

    Raises:
        Unfit: A value that a field can't take.
    """
    unknown: list[Path] = []
    whole = _WHOLE.get(res)
    # Of a custom kind the metadata is decoded by itself, so that its fields are named without what they are in.
    path: Path = () if res.custom else ("metadata",)
    metadata = _struct(METADATA, obj.get("metadata") or {}, path, unknown)
    if res.custom:
        unknown = [("metadata", *one) for one in unknown]
    if whole is None:
        return Decoded({**obj, "metadata": metadata}, tuple(unknown))
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    content = _struct(whole, rest, (), unknown)
    kept = {key: obj[key] for key in ("apiVersion", "kind") if key in obj}
    return Decoded({**kept, "metadata": metadata, **(whole.always or {}), **content}, tuple(unknown))


def delete_options(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a deletion, as their type holds them; unknown fields are dropped.

    Raises:
        Unfit: A value that a field can't take.
    """
    return _struct(_DELETE_OPTIONS, sent, (), [])


def _struct(struct: Struct, value: Any, path: Path, unknown: list[Path]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _misfit(value, struct.name, path, struct.name)
    made: dict[str, Any] = {}
    for key, inner in value.items():
        wanted = struct.fields.get(key)
        if wanted is None and struct.partly:
            made[key] = inner
        elif wanted is None:
            unknown.append((*path, key))
        elif inner is not None:
            found = _value(wanted, inner, (*path, key), struct.name, unknown)
            is_pointer = isinstance(wanted, str) and wanted.startswith("*")
            if found or is_pointer:
                made[key] = found
    return made


def _value(wanted: str | Struct | Each, value: Any, path: Path, within: str, unknown: list[Path]) -> Any:
    if isinstance(wanted, Struct):
        return _struct(wanted, value, path, unknown)
    if isinstance(wanted, Each):
        return _each(wanted, value, path, within, unknown)
    return _SCALARS[wanted.removeprefix("*")](value, path, within)


def _each(wanted: Each, value: Any, path: Path, within: str, unknown: list[Path]) -> Any:
    of = wanted.of
    named = of.name if isinstance(of, Struct) else of
    if wanted.keyed:
        if not isinstance(value, Mapping):
            raise _misfit(value, f"map[string]{named}", path, within)
        return {
            key: _zero(inner) if inner is None else _value(of, inner, path, within, unknown)
            for key, inner in value.items()
        }
    if not isinstance(value, list):
        raise _misfit(value, f"[]{named}", path, within)
    return [_value(of, inner, (*path, at), within, unknown) for at, inner in enumerate(value)]


def _zero(_: None) -> str:
    """``null`` in a map of texts leaves Go's zero value."""
    return ""


def _text(value: Any, path: Path, within: str) -> str:
    if not isinstance(value, str):
        raise _misfit(value, "string", path, within)
    return value


def _bool(value: Any, path: Path, within: str) -> bool:
    if not isinstance(value, bool):
        raise _misfit(value, "bool", path, within)
    return value


def _whole_number(of: str) -> Callable[[Any, Path, str], int]:
    def read(value: Any, path: Path, within: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _misfit(value, of, path, within)
        if isinstance(value, float) or not -_LIMITS[of] <= value < _LIMITS[of]:
            raise _misfit(
                value, of, path, within, shown=f"number {value:g}" if isinstance(value, float) else f"number {value}"
            )
        return value

    return read


def _bytes(value: Any, path: Path, within: str) -> str:
    text = _text(value, path, within)
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        at = next((at for at, char in enumerate(text) if not re.match(r"[A-Za-z0-9+/=]", char)), len(text))
        raise Unfit(f"illegal base64 data at input byte {at}") from error
    return text


def _instant(of: str) -> Callable[[Any, Path, str], str | None]:
    layout, parts = _LAYOUTS[of]

    def read(value: Any, path: Path, within: str) -> str | None:
        text = rest = _text(value, path, within)
        for pattern, name in parts:
            found = re.match(pattern, rest)
            if found is None:
                raise Unfit(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"')
            rest = rest[found.end() :]
        if rest:
            raise Unfit(f'parsing time "{text}": extra text: "{rest}"')
        try:
            instant = datetime.fromisoformat(text).astimezone(UTC)
        except ValueError as error:
            raise Unfit(f'parsing time "{text}": {error}') from error
        return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if of == "microtime" else "%Y-%m-%dT%H:%M:%SZ")

    return read


def _nothing(value: Any, path: Path, within: str) -> None:  # noqa: ARG001 - a field that is known and not kept
    return None


_SCALARS: Final[Mapping[str, Callable[[Any, Path, str], Any]]] = {
    "string": _text, "bool": _bool, "int32": _whole_number("int32"), "int64": _whole_number("int64"), "bytes": _bytes,
    "time": _instant("time"), "microtime": _instant("microtime"), "any": lambda value, *_: value, "nothing": _nothing,
}  # fmt: skip


def _misfit(value: Any, wanted: str, path: Path, within: str, *, shown: str = "") -> Unfit:
    names = {bool: "bool", str: "string", list: "array", dict: "object"}
    kind = shown or names.get(type(value), "number")
    where = ".".join(str(step) for step in path if isinstance(step, str))
    return Unfit(f"json: cannot unmarshal {kind} into Go struct field {within}.{where} of type {wanted}")
