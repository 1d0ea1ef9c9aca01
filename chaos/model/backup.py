"""A backup of Istio's configuration: the cleaned objects of some namespaces, and how it differs from what there is. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from chaos.values.documents import as_documents

Object = Mapping[str, Any]
Key = tuple[str, str, str]
"""Namespace, kind and name."""
_FIRST: Final = ("ServiceEntry", "WorkloadEntry", "WorkloadGroup", "Gateway", "DestinationRule")
"""What others refer to is written before them, and removed after them: a route to a subset that is not there yet is a 503."""
_LAST: Final = "VirtualService"


@dataclass(frozen=True)
class Backup:
    """What was saved.

    Args:
        cluster: UID of ``kube-system`` of the cluster.
        namespaces: Whose objects they are.
        kinds: Those that could be listed; of others nothing is known.
        objects: Cleaned.
    """

    cluster: str
    namespaces: tuple[str, ...]
    kinds: tuple[str, ...]
    objects: Mapping[Key, Object]


@dataclass(frozen=True)
class Difference:
    """An object that is not as in the backup.

    Args:
        state: ``changed``, ``missing`` in the mesh, or ``extra``: it is in the mesh and not in the backup.
        text: From what there is to what is in the backup, as a unified diff.
    """

    kind: str
    namespace: str
    name: str
    state: Literal["changed", "missing", "extra"]
    text: str

    @property
    def key(self) -> Key:
        """By which it is found."""
        return self.namespace, self.kind, self.name

    @property
    def title(self) -> str:
        """``VirtualService staging/reviews``."""
        return f"{self.kind} {self.namespace}/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "state": self.state,
            "diff": self.text,
        }


def key_of(obj: Object) -> Key:
    """Namespace, kind and name of an object."""
    return obj["metadata"]["namespace"], obj["kind"], obj["metadata"]["name"]


def differences(backup: Backup, now: Mapping[Key, Object], *, namespaces: Sequence[str]) -> list[Difference]:
    """The differences from the backup, in the order in which they can be restored; of kinds that the backup has."""
    found = [_difference(key, now.get(key), backup.objects.get(key)) for key in sorted({*backup.objects, *now})]
    there = [one for one in found if one and one.namespace in namespaces and one.kind in backup.kinds]
    gone = [one for one in there if one.state == "extra"]
    return [*sorted((one for one in there if one.state != "extra"), key=_rank), *sorted(gone, key=_rank, reverse=True)]


def _rank(one: Difference) -> tuple[int, Key]:
    order = _FIRST.index(one.kind) if one.kind in _FIRST else len(_FIRST) + (one.kind == _LAST)
    return order, one.key


def _difference(key: Key, now: Object | None, then: Object | None) -> Difference | None:
    if _kept(now) == _kept(then):
        return None
    before, after = (as_documents([one]) if (one := _kept(obj)) else "" for obj in (now, then))
    namespace, kind, name = key
    title = f"{kind} {namespace}/{name}"
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), fromfile=f"{title} now", tofile=f"{title} in the backup", lineterm=""
    )
    state: Literal["changed", "missing", "extra"] = "missing" if now is None else "extra" if then is None else "changed"
    return Difference(kind, namespace, name, state, "\n".join(lines))


def _kept(obj: Object | None) -> Object:
    """All but the version, of which every server may prefer another; nothing where there is no object."""
    return {key: value for key, value in (obj or {}).items() if key != "apiVersion"}
