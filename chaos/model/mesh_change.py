"""A change of Istio's configuration for a while: what was there, and what is there instead. Also its record on a lease."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from chaos.model.marks import CHANGE, PREFIX
from chaos.values.frozen import Frozen

Object = Mapping[str, Any]
_KEPT: Final = ("name", "namespace", "uid", "labels", "ownerReferences", "managedFields")


class MeshChange(Frozen):
    """One object that is changed for a while.

    Args:
        kind: Such as ``VirtualService``.
        namespace: Where it is.
        name: Its name.
        before: The object as it was; ``None`` where there was none.
        after: Its spec meanwhile; ``None`` where the object is away meanwhile.
        later: Further specs that it may have meanwhile, one after the other.
    """

    kind: str
    namespace: str
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    later: tuple[Mapping[str, Any], ...] = ()

    @property
    def specs(self) -> tuple[Mapping[str, Any], ...]:
        """Every spec that we write meanwhile."""
        return (*(() if self.after is None else (self.after,)), *self.later)

    @property
    def done(self) -> str:
        """What was done: ``made``, ``changed`` or ``removed``."""
        return "made" if self.before is None else "removed" if self.after is None else "changed"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name} ({self.done} for a while)"

    @property
    def record(self) -> str:
        """All that whoever puts it back has to know, as the text of an annotation."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)


def is_for_change(lease: Object) -> bool:
    """Whether a lease is for a change, and not for a target."""
    return CHANGE in (lease["metadata"].get("annotations") or {})


def change_of(lease: Object) -> MeshChange | None:
    """The change that a lease is for; ``None`` where it is for a target, or its record can't be read."""
    try:
        return MeshChange.model_validate_json((lease["metadata"].get("annotations") or {}).get(CHANGE) or "")
    except ValidationError:
        return None


def kept_of(obj: Object) -> dict[str, Any]:
    """What of an object is worth keeping: what people wrote, its UID, its owners, and who owns which field."""
    meta = obj["metadata"]
    kept = {key: meta[key] for key in _KEPT if meta.get(key)}
    notes = {key: text for key, text in (meta.get("annotations") or {}).items() if not key.startswith(f"{PREFIX}/")}
    return {
        "kind": obj["kind"],
        "metadata": {**kept, **({"annotations": notes} if notes else {})},
        "spec": spec_of(obj),
    }


def spec_of(obj: Object) -> Mapping[str, Any]:
    """Its spec; an AuthorizationPolicy that denies all may have none."""
    found: Mapping[str, Any] = obj.get("spec") or {}
    return found


class Wanted(Frozen):
    """An object of Istio's as it is to be for a while.

    Args:
        spec: Its spec; ``None`` where the object is to be away.
    """

    kind: str
    namespace: str
    name: str
    spec: Mapping[str, Any] | None

    @property
    def title(self) -> str:
        """``VirtualService staging/reviews``."""
        return f"{self.kind} {self.namespace}/{self.name}"
