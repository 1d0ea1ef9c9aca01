"""Reads the objects that newer kubectls send in protobuf: what ``kubectl create`` and ``kubectl auth`` make.

From 1.34 on kubectl sends built-in kinds so, and does not fall back where a server can't read it. Only the fields that these
commands set are known here; any other one is refused, never dropped. Answers are JSON, which every client reads.

Source of the numbers: ``generated.proto`` of k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.descriptor_pb2 import EDITION_2023, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessages
from google.protobuf.unknown_fields import UnknownFieldSet

from chaos.lab.api.errors import ApiError

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
Fields = Mapping[int, tuple[str, str]]
"""By number: the name in JSON, and the type: ``s`` text, ``i`` number, ``n`` number of which 0 is none, ``b`` truth, ``B`` bytes, else a message's
name, of which ``Texts`` and ``Bytes`` are maps and ``IntOrString`` is a number or a text; ``*`` before it: repeated."""

_ROLE: Final[Fields] = {1: ("metadata", "ObjectMeta"), 2: ("rules", "*PolicyRule")}
_BINDING: Final[Fields] = {1: ("metadata", "ObjectMeta"), 2: ("subjects", "*Subject"), 3: ("roleRef", "RoleRef")}
_SPEC: Final[Fields] = {1: ("metadata", "ObjectMeta")}
_MESSAGES: Final[Mapping[str, Fields]] = {
    "ObjectMeta": {
        1: ("name", "s"), 2: ("generateName", "s"), 3: ("namespace", "s"), 5: ("uid", "s"), 6: ("resourceVersion", "s"),
        11: ("labels", "*Texts"), 12: ("annotations", "*Texts"),
    },
    "LabelSelector": {1: ("matchLabels", "*Texts")},
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
    "ConfigMap": {**_SPEC, 2: ("data", "*Texts"), 3: ("binaryData", "*Bytes"), 4: ("immutable", "b")},
    "Secret": {**_SPEC, 2: ("data", "*Bytes"), 3: ("type", "s"), 4: ("stringData", "*Texts"), 5: ("immutable", "b")},
    "Service": {**_SPEC, 2: ("spec", "ServiceSpec")},
    "ServiceSpec": {
        1: ("ports", "*ServicePort"), 2: ("selector", "*Texts"), 3: ("clusterIP", "s"), 4: ("type", "s"), 7: ("sessionAffinity", "s"),
        10: ("externalName", "s"),
    },
    "ServicePort": {1: ("name", "s"), 2: ("protocol", "s"), 3: ("port", "i"), 4: ("targetPort", "IntOrString"), 5: ("nodePort", "n"), 6: ("appProtocol", "s")},
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


_ENVELOPE: Final[Mapping[str, Fields]] = {
    "Nothing": {},
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "B"), 3: ("contentEncoding", "s"), 4: ("contentType", "s")},
    "TypeMeta": {1: ("apiVersion", "s"), 2: ("kind", "s")},
    "Texts": {1: ("key", "s"), 2: ("value", "s")},
    "Bytes": {1: ("key", "s"), 2: ("value", "B")},
    "IntOrString": {1: ("type", "i"), 2: ("intVal", "i"), 3: ("strVal", "s")},
}
_SCALARS: Final = {
    "s": FieldDescriptorProto.TYPE_STRING, "i": FieldDescriptorProto.TYPE_INT64, "n": FieldDescriptorProto.TYPE_INT64,
    "b": FieldDescriptorProto.TYPE_BOOL, "B": FieldDescriptorProto.TYPE_BYTES,
}  # fmt: skip


def _classes() -> Mapping[str, type[Message]]:
    file = FileDescriptorProto(name="kubernetes.proto", syntax="editions", edition=EDITION_2023)
    for name, fields in {**_ENVELOPE, **_MESSAGES}.items():
        message = file.message_type.add(name=name)
        for number, (key, kind) in fields.items():
            label = FieldDescriptorProto.LABEL_REPEATED if kind[0] == "*" else FieldDescriptorProto.LABEL_OPTIONAL
            field = message.field.add(name=key, number=number, label=label)
            if kind in _SCALARS or kind[1:] in _SCALARS:
                field.type = _SCALARS[kind.lstrip("*")]
            else:
                field.type_name = kind.lstrip("*")
    return GetMessages([file])


_CLASSES: Final = _classes()


def decode(body: bytes) -> dict[str, Any]:
    """The object of a request, as its JSON would have it.

    Raises:
        ApiError: 400, it is not Kubernetes' protobuf; 415, a kind or a field that the lab does not read.
    """
    if not body.startswith(_MAGIC):
        raise ApiError(400, "BadRequest", "the body can't be decoded: it does not begin as Kubernetes' protobuf does")
    try:
        outer: Any = _CLASSES["Unknown"].FromString(body[len(_MAGIC) :])
        version, kind = outer.typeMeta.apiVersion, outer.typeMeta.kind
        if kind not in _WHOLE:
            raise ApiError(415, "UnsupportedMediaType", f"the lab reads no {kind or 'object'} in protobuf: send JSON")
        return {"apiVersion": version, "kind": kind, **_fields(_CLASSES[kind].FromString(outer.raw), kind)}
    except (DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "BadRequest", f"the body can't be decoded as protobuf: {error}") from error


def _fields(message: Message, where: str) -> dict[str, Any]:
    for unknown in _unknown(message):
        if not _is_empty(unknown.data):  # Go writes structs that hold nothing
            told = f"the lab reads no field {unknown.field_number} of {where} in protobuf: send JSON"
            raise ApiError(415, "UnsupportedMediaType", told)
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        kind = _MESSAGES[message.DESCRIPTOR.name][field.number][1]
        if kind in ("*Texts", "*Bytes"):
            found[field.name] = {
                pair.key: _value("B" if kind == "*Bytes" else "s", pair.value, where) for pair in value
            }
        elif kind[0] == "*":
            found[field.name] = [_value(kind[1:], one, f"{where}.{field.name}") for one in value]
        elif (read := _value(kind, value, f"{where}.{field.name}")) not in ("", {}) and (kind != "n" or read):
            found[field.name] = read
    return found


def _value(kind: str, value: Any, where: str) -> Any:
    if kind == "B":
        return base64.b64encode(value).decode()
    if kind == "IntOrString":
        return value.strVal if value.type else value.intVal
    return value if kind in _SCALARS else _fields(value, where)


def _unknown(message: Message) -> Iterator[Any]:
    unknown: Any = UnknownFieldSet(message)  # the stubs don't know that it can be gone through
    return iter(unknown)


def _is_empty(value: Any) -> bool:
    if value in (b"", 0):
        return True
    try:
        return all(_is_empty(field.data) for field in _unknown(_CLASSES["Nothing"].FromString(value)))
    except (DecodeError, TypeError):
        return False  # a text, or a number
