"""Reads the objects that newer kubectls send in protobuf: what ``kubectl create`` and ``kubectl auth`` make.

From 1.34 on kubectl sends built-in kinds so, and does not fall back where a server can't read it. Only the fields that these
commands set are known here; any other one is refused, never dropped. Answers are JSON, which every client reads.

Source of the numbers: ``generated.proto`` of k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.errors import ApiError

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EMPTY: Final = (b"", 0)
Fields = Mapping[int, tuple[str, str]]
"""By number: the name in JSON, and the type: ``s`` text, ``i`` number, ``n`` number of which 0 is none, ``b`` truth, ``B`` bytes, ``%`` a map of texts,
``%B`` a map of bytes, ``|`` a number or a text, else a message's name; ``*`` before it: repeated."""

_ROLE: Final[Fields] = {1: ("metadata", "ObjectMeta"), 2: ("rules", "*PolicyRule")}
_BINDING: Final[Fields] = {1: ("metadata", "ObjectMeta"), 2: ("subjects", "*Subject"), 3: ("roleRef", "RoleRef")}
_SPEC: Final[Fields] = {1: ("metadata", "ObjectMeta")}
_MESSAGES: Final[Mapping[str, Fields]] = {
    "ObjectMeta": {
        1: ("name", "s"), 2: ("generateName", "s"), 3: ("namespace", "s"), 5: ("uid", "s"), 6: ("resourceVersion", "s"),
        11: ("labels", "%"), 12: ("annotations", "%"),
    },
    "LabelSelector": {1: ("matchLabels", "%")},
    # authorization, authentication
    "SelfSubjectAccessReview": {**_SPEC, 2: ("spec", "SelfSubjectAccessReviewSpec")},
    "SelfSubjectAccessReviewSpec": {1: ("resourceAttributes", "ResourceAttributes"), 2: ("nonResourceAttributes", "NonResourceAttributes")},
    "ResourceAttributes": {
        1: ("namespace", "s"), 2: ("verb", "s"), 3: ("group", "s"), 4: ("version", "s"), 5: ("resource", "s"),
        6: ("subresource", "s"), 7: ("name", "s"),
    },
    "NonResourceAttributes": {1: ("path", "s"), 2: ("verb", "s")},
    "SelfSubjectRulesReview": {**_SPEC, 2: ("spec", "SelfSubjectRulesReviewSpec")},
    "SelfSubjectRulesReviewSpec": {1: ("namespace", "s")},
    "SelfSubjectReview": _SPEC,
    "TokenRequest": {**_SPEC, 2: ("spec", "TokenRequestSpec")},
    "TokenRequestSpec": {1: ("audiences", "*s"), 4: ("expirationSeconds", "i")},
    # rbac
    "Role": _ROLE,
    "ClusterRole": _ROLE,
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "PolicyRule": {1: ("verbs", "*s"), 2: ("apiGroups", "*s"), 3: ("resources", "*s"), 4: ("resourceNames", "*s"), 5: ("nonResourceURLs", "*s")},
    "Subject": {1: ("kind", "s"), 2: ("apiGroup", "s"), 3: ("name", "s"), 4: ("namespace", "s")},
    "RoleRef": {1: ("apiGroup", "s"), 2: ("kind", "s"), 3: ("name", "s")},
    # core
    "Namespace": _SPEC,
    "ServiceAccount": _SPEC,
    "ConfigMap": {**_SPEC, 2: ("data", "%"), 3: ("binaryData", "%B"), 4: ("immutable", "b")},
    "Secret": {**_SPEC, 2: ("data", "%B"), 3: ("type", "s"), 4: ("stringData", "%"), 5: ("immutable", "b")},
    "Service": {**_SPEC, 2: ("spec", "ServiceSpec")},
    "ServiceSpec": {
        1: ("ports", "*ServicePort"), 2: ("selector", "%"), 3: ("clusterIP", "s"), 4: ("type", "s"), 7: ("sessionAffinity", "s"),
        10: ("externalName", "s"),
    },
    "ServicePort": {1: ("name", "s"), 2: ("protocol", "s"), 3: ("port", "i"), 4: ("targetPort", "|"), 5: ("nodePort", "n"), 6: ("appProtocol", "s")},
    # apps
    "Deployment": {**_SPEC, 2: ("spec", "DeploymentSpec")},
    "DeploymentSpec": {1: ("replicas", "i"), 2: ("selector", "LabelSelector"), 3: ("template", "PodTemplateSpec"), 4: ("strategy", "DeploymentStrategy")},
    "DeploymentStrategy": {1: ("type", "s")},
    "PodTemplateSpec": {**_SPEC, 2: ("spec", "PodSpec")},
    "PodSpec": {2: ("containers", "*Container"), 3: ("restartPolicy", "s"), 8: ("serviceAccountName", "s")},
    "Container": {
        1: ("name", "s"), 2: ("image", "s"), 3: ("command", "*s"), 4: ("args", "*s"), 6: ("ports", "*ContainerPort"),
        14: ("imagePullPolicy", "s"),
    },
    "ContainerPort": {1: ("name", "s"), 2: ("hostPort", "n"), 3: ("containerPort", "i"), 4: ("protocol", "s")},
}  # fmt: skip
_WHOLE: Final = frozenset(name for name, fields in _MESSAGES.items() if fields.get(1) == ("metadata", "ObjectMeta"))


def decode(body: bytes) -> dict[str, Any]:
    """The object of a request, as its JSON would have it.

    Raises:
        ApiError: 400, it is not Kubernetes' protobuf; 415, a kind or a field that the lab does not read.
    """
    if not body.startswith(_MAGIC):
        raise ApiError(400, "BadRequest", "the body can't be decoded: it does not begin as Kubernetes' protobuf does")
    try:
        outer = dict(_parts(body[len(_MAGIC) :]))
        kind_of = {number: _text(value) for number, value in _parts(_raw(outer.get(1, b"")))}
        kind = kind_of.get(2, "")
        if kind not in _WHOLE:
            raise ApiError(415, "UnsupportedMediaType", f"the lab reads no {kind or 'object'} in protobuf: send JSON")
        return {"apiVersion": kind_of.get(1, ""), "kind": kind, **_message(kind, _raw(outer.get(2, b"")), kind)}
    except (IndexError, ValueError) as error:
        raise ApiError(400, "BadRequest", f"the body can't be decoded as protobuf: {error}") from error


def _message(name: str, data: bytes, where: str) -> dict[str, Any]:
    fields = _MESSAGES[name]
    found: dict[str, Any] = {}
    for number, value in _parts(data):
        if number not in fields:
            if _is_empty(value):
                continue  # Go writes structs that hold nothing
            raise ApiError(
                415, "UnsupportedMediaType", f"the lab reads no field {number} of {where} in protobuf: send JSON"
            )
        key, kind = fields[number]
        if kind.startswith("%"):
            pair = dict(_parts(_raw(value)))
            content = _raw(pair.get(2, b""))
            entry = base64.b64encode(content).decode() if kind == "%B" else content.decode()
            found.setdefault(key, {})[_text(pair.get(1, b""))] = entry
        elif kind.startswith("*"):
            found.setdefault(key, []).append(_value(kind[1:], value, f"{where}.{key}"))
        else:
            read = _value(kind, value, f"{where}.{key}")
            if read not in ("", {}) and (kind != "n" or read):
                found[key] = read
    return found


def _is_empty(value: bytes | int) -> bool:
    if value in _EMPTY:
        return True
    try:
        return all(_is_empty(content) for _, content in _parts(_raw(value)))
    except (IndexError, ValueError):
        return False  # a text


def _value(kind: str, value: bytes | int, where: str) -> Any:
    match kind:
        case "s":
            return _text(value)
        case "i" | "n":
            return _number(value)
        case "b":
            return bool(_number(value))
        case "|":
            either = dict(_parts(_raw(value)))
            return _text(either.get(3, b"")) if either.get(1) else _number(either.get(2, 0))
        case _:
            return _message(kind, _raw(value), where)


def _parts(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and contents of a message's fields, as the wire format has them."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {wire}")
        if at + size > len(data):
            raise ValueError("it ends too early")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _raw(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError(f"expected bytes, got the number {value}")
    return value


def _text(value: bytes | int) -> str:
    return _raw(value).decode()


def _number(value: bytes | int) -> int:
    if isinstance(value, bytes):
        raise ValueError("expected a number, got bytes")
    return value - (1 << 64) if value >= 1 << 63 else value
