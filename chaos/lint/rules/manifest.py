"""One Kubernetes object as a file declares it, brought into the form that the rules may rely on.

A file may say anything. What has the wrong form is replaced by an empty value of the right one and told as a
:class:`Flaw`, so that a rule is about one question and never about the form of its input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.faults.fault import FILTER_KINDS
from chaos.istio.exports import Object
from chaos.values.declared import dotted

Path = tuple[str | int, ...]
"""Keys and indexes that lead to a value, from the root of its document."""

ISTIO: Final = "networking.istio.io"
UNKNOWN: Final = ""
"""The namespace of an object that does not say its own: whoever applies it decides, so it is not known to be staging."""
_PLACEHOLDER: Final = re.compile(r"\$\{|\{\{|\$\(|<%|\bENC\[")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """A value that is not of the form that its place asks for."""

    path: Path
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Manifest:
    """A Kubernetes object and where it was declared.

    Args:
        data: The object. ``metadata.namespace`` is :data:`UNKNOWN` where nothing tells it; what the rules look at has
            the form of its kind.
        document: Number of the document that holds it, over everything that is linted.
        at: Where it stands in its document; empty but for items of a list.
        segments: Folders and name of its file, from the root of the repository; empty where they are not known.
        stream: What was read as one: objects of one stream are applied together.
        flaws: What is not of the form that it should have.
    """

    data: Object
    document: int
    at: Path = ()
    segments: tuple[str, ...] = ()
    stream: str = ""
    flaws: tuple[Flaw, ...] = ()

    @property
    def kind(self) -> str:
        """Its kind, such as ``VirtualService``."""
        return str(self.data["kind"])

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        return str(self.data["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace, or :data:`UNKNOWN`."""
        return str(self.data["metadata"]["namespace"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its ``spec``; empty where it has none."""
        spec: Mapping[str, Any] = self.data["spec"]
        return spec

    @property
    def title(self) -> str:
        """How messages call it: ``VirtualService shop/reviews``."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name or '?'}"

    def is_a(self, kind: str, group: str) -> bool:
        """Whether it is of this kind of this API group; the core group is empty."""
        found, _, version = str(self.data["apiVersion"]).rpartition("/")
        return self.data["kind"] == kind and found == group and bool(version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A place in an object where a rule finds something: what is wrong there, with the value, and what to do."""

    manifest: Manifest
    path: Path
    message: str
    hint: str


def is_placeholder(value: Any) -> bool:
    """Whether a text is filled in later by a tool (``${…}``, ``{{…}}``, ``$(…)``), so that nothing is known of it."""
    return isinstance(value, str) and _PLACEHOLDER.search(value) is not None


# --- the forms -----------------------------------------------------------------------------------------------------------

Form = type[str] | Sequence["Form"] | Mapping[str, "Form"]
"""``str`` for a text, ``[form]`` for a list of it, a mapping for a mapping with at least these keys understood."""

_TEXTS: Final[Form] = [str]
_DESTINATION: Final[Form] = {"host": str, "subset": str}
_ROUTES: Final[Form] = [{"destination": _DESTINATION}]
_FORMS: Final[Mapping[tuple[str, str], Form]] = {
    (ISTIO, "VirtualService"): {
        "hosts": _TEXTS,
        "gateways": _TEXTS,
        "exportTo": _TEXTS,
        "http": [
            {
                "name": str,
                "match": [{"gateways": _TEXTS, "sourceLabels": {}, "sourceNamespace": str}],
                "route": _ROUTES,
                "mirror": _DESTINATION,
                "mirrors": _ROUTES,
                "redirect": {},
                "directResponse": {},
                "delegate": {"name": str, "namespace": str},
                "fault": {kind.key: {"percentage": {}} for kind in FILTER_KINDS},
            }
        ],
        "tls": [{"route": _ROUTES}],
        "tcp": [{"route": _ROUTES}],
    },
    (ISTIO, "DestinationRule"): {"host": str, "subsets": [{"name": str}]},
    (ISTIO, "ServiceEntry"): {"hosts": _TEXTS, "exportTo": _TEXTS},
    (ISTIO, "Sidecar"): {"workloadSelector": {}, "egress": [{"hosts": _TEXTS, "port": {"protocol": str}}]},
    ("", "Service"): {"ports": [{"name": str, "appProtocol": str}]},
    ("argoproj.io", "Application"): {
        "destination": {"namespace": str},
        "source": {"path": str},
        "sources": [{"path": str}],
    },
    ("argoproj.io", "ApplicationSet"): {},
    ("kustomize.toolkit.fluxcd.io", "Kustomization"): {"path": str, "targetNamespace": str},
    ("helm.toolkit.fluxcd.io", "HelmRelease"): {"targetNamespace": str},
}
_CLUSTER_WIDE: Final = ("Namespace",)


def manifest(
    data: Object,
    *,
    document: int,
    at: Path = (),
    namespace: str | None = None,
    segments: tuple[str, ...] = (),
    stream: str = "",
) -> Manifest:
    """The object that the plain values of a file declare; ``namespace`` is where it will be applied, if it does not say so."""
    kind, version = _text(data.get("kind")), _text(data.get("apiVersion"))
    group = version.rpartition("/")[0]
    found: list[Flaw] = []

    def flawed(path: Path, expected: str, value: Any) -> None:
        found.append(
            Flaw(
                path=path,
                message=f"expected {expected} at {dotted(path)}, found {_kind(value)}",
                hint=f"correct it by the reference of {kind}: the API server would refuse this object",
            )
        )

    metadata = _formed(
        data.get("metadata"), {"name": str, "namespace": str, "labels": {}, "annotations": {}}, ("metadata",), flawed
    )
    where = metadata.get("namespace") or ("" if kind in _CLUSTER_WIDE else namespace) or UNKNOWN
    metadata = {**metadata, "name": metadata.get("name", ""), "namespace": UNKNOWN if is_placeholder(where) else where}
    spec = _formed(data.get("spec"), _FORMS.get((group, kind), {}), ("spec",), flawed)
    return Manifest(
        data={**data, "kind": kind, "apiVersion": version, "metadata": metadata, "spec": spec},
        document=document,
        at=at,
        segments=segments,
        stream=stream,
        flaws=tuple(found),
    )


def _formed(value: Any, form: Form, path: Path, flawed: Callable[[Path, str, Any], None]) -> Any:
    """The value in its form; entries of lists keep their index. What is filled in later is taken as not said."""
    if not isinstance(form, type) and is_placeholder(value):
        value = None
    if isinstance(form, Mapping):
        if value is not None and not isinstance(value, Mapping):
            flawed(path, "a mapping", value)
            value = None
        # A key without a value is a key that is not there, as the API server has it.
        given = {key: inner for key, inner in (value or {}).items() if inner is not None}
        return {
            key: _formed(inner, form[key], (*path, key), flawed) if key in form else inner
            for key, inner in given.items()
        }
    if isinstance(form, Sequence):
        if value is not None and not isinstance(value, list):
            flawed(path, "a list", value)
            value = None
        return [_formed(inner, form[0], (*path, index), flawed) for index, inner in enumerate(value or ())]
    if not isinstance(value, str):
        flawed(path, "a text", value)
        return ""
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{value!r}".lower()
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return f"the number {value}" if isinstance(value, int | float) else repr(value)
