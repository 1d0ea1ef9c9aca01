"""Two lists of ``managedFields``, whenever their entries were written."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.values.managed_fields import Entry, fields_of, identity_of


def same_owners(one: Iterable[Entry], other: Iterable[Entry]) -> bool:
    first, second = ({identity_of(entry): fields_of(entry) for entry in entries} for entries in (one, other))
    return first == second
