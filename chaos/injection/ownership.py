"""Who owned which field of somebody's object before the fault went in, and how they own it again. Pure.

An update takes the ownership of what it changes, so both putting a fault in and taking it out make us the owner of the routes;
the next server-side apply that changes them would be a conflict. The owners are known before the first of these writes, and
are put back after the second one, in a write that changes nothing else: what a write changes is its writer's whatever list it
brings along (apimachinery ``managedfields/internal/fieldmanager.go`` decodeLiveOrNew, then Update).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from chaos.model.marks import FIELD_MANAGER
from chaos.values.managed_fields import Entry, Identity, Path, fields_of, identity_of, with_fields

Object = Mapping[str, Any]
_ROUTES: Final[Path] = ("f:spec", "f:http")
_ALL: Final[Path] = ("f:spec",)


def owners_of(vs: Object) -> Sequence[Entry]:
    """The entries of ``managedFields``, ours among them."""
    return vs["metadata"].get("managedFields") or ()


def others(entries: Iterable[Entry], *, us: str = FIELD_MANAGER) -> list[Entry]:
    """The entries without ours, and without those that are residue of an earlier run."""
    return [entry for entry in entries if not _is_ours(entry, us)]


def _is_ours(entry: Entry, us: str) -> bool:
    return (entry.get("manager"), entry.get("operation")) == (us, "Update") and not entry.get("subresource")


def _ours(entries: Iterable[Entry], us: str = FIELD_MANAGER) -> set[Path]:
    return {path for entry in entries if _is_ours(entry, us) for path in fields_of(entry)}


def owns(obj: Object, *, us: str) -> bool:
    """Whether we own fields of an object, or all of them."""
    return bool(_ours(owners_of(obj), us))


def still_owns(vs: Object) -> bool:
    """Whether we own fields of an object that somebody else made, as a patch leaves it. Who makes one owns its whole spec."""
    ours = _ours(owners_of(vs))
    return bool(ours) and _ALL not in ours


def given_back(kept: Iterable[Entry], live: Iterable[Entry], *, us: str = FIELD_MANAGER) -> list[Entry]:
    """The owners as they would be without us.

    Args:
        kept: The owners before the fault went in.
        live: The owners now. What others took from us meanwhile is theirs; only what we still own goes back.
        us: Our name as a field manager.
    """
    live = list(live)
    ours = _ours(live, us)
    found = {identity_of(entry): entry for entry in others(live, us=us)}
    for entry in others(kept, us=us):
        back = fields_of(entry) & ours
        if back:
            here = found.get(identity_of(entry))
            found[identity_of(entry)] = with_fields(here or entry, back | (fields_of(here) if here else set()))
    return list(found.values())


def route_owners(vs: Object) -> set[Identity]:
    """Who owns the routes."""
    return {identity_of(entry) for entry in owners_of(vs) if _ROUTES in fields_of(entry)}


def can_be_kept(entries: Any) -> bool:
    """Whether a list that was read from an annotation, which anybody may have changed, is one of owners."""
    return isinstance(entries, list) and all(
        isinstance(entry, Mapping) and _is_tree(entry.get("fieldsV1") or {}) for entry in entries
    )


def _is_tree(node: Any) -> bool:
    return isinstance(node, Mapping) and all(_is_tree(inner) for inner in node.values())
