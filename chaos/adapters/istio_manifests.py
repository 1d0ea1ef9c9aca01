"""Reads manifests of Istio's objects: YAML, files of it, or plain mappings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from chaos.errors import InputError
from chaos.istio.resources import BY_NAME
from chaos.model.mesh_change import Wanted
from chaos.values.unreadable import UNREADABLE, fault_of

Manifest = Mapping[str, Any] | str | Path
"""An object of Istio's, YAML of one or several, or the path of a file of it."""


def wanted_of(manifests: Sequence[Manifest], *, absent: bool = False) -> tuple[Wanted, ...]:
    """What is to be there, or, with ``absent``, not to be there.

    Raises:
        InputError: it can't be read, or is no object of Istio's.
    """
    return tuple(_wanted(obj, whence, absent=absent) for obj, whence in _objects(manifests))


def _objects(manifests: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    for at, manifest in enumerate(manifests, start=1):
        if isinstance(manifest, Mapping):
            yield manifest, f"object {at}"
            continue
        whence = str(manifest) if isinstance(manifest, Path) else f"manifest {at}"
        if not isinstance(manifest, str | Path):
            raise InputError(f"{whence}: expected a mapping, YAML or a Path, got a {type(manifest).__name__}")
        try:
            text = manifest.read_text(encoding="utf-8") if isinstance(manifest, Path) else manifest
            found = [one for one in YAML(typ="safe", pure=True).load_all(text) if one is not None]
        except UNREADABLE as error:
            raise InputError(f"{whence}: expected YAML that can be read: {fault_of(error)}") from None
        if not found:
            raise InputError(f"{whence}: expected a manifest of one of Istio's objects, and there is none")
        yield from ((obj, whence) for obj in found)


def _wanted(obj: Any, whence: str, *, absent: bool) -> Wanted:
    kind = obj.get("kind") if isinstance(obj, Mapping) else None
    if kind not in BY_NAME:
        raise InputError(
            f"{whence}: expected one of Istio's objects, got kind {kind!r}", hint=f"kinds are {', '.join(BY_NAME)}"
        )
    meta = obj.get("metadata")
    name, namespace = (meta.get(key) if isinstance(meta, Mapping) else None for key in ("name", "namespace"))
    if not name or not namespace:
        raise InputError(
            f"{whence}: expected metadata.name and metadata.namespace of the {kind}, got {name!r} and {namespace!r}",
            hint="name the namespace: there is no default",
        )
    spec = obj.get("spec") or {}
    if not isinstance(spec, Mapping):
        raise InputError(f"{whence}: expected a mapping as spec of the {kind} {namespace}/{name}")
    return Wanted(kind=kind, namespace=str(namespace), name=str(name), spec=None if absent else dict(spec))
