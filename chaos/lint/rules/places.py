"""What the folders of a repository say: is this production, is it staging, are two of them applied together?

Only words are looked at. Nothing here reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PRODUCTION: Final = re.compile(r"(?:prod|production|prd)\d*")
_MAYBE: Final = ("live",)
"""Words that name production, or, as in ``live/staging``, the part of a repository that is deployed at all."""
_STAGING: Final = re.compile(
    r"(?:stag|staging|stage|stg|dev|devel|development|test|testing|tests|qa|qs|uat|sandbox|lab|preprod|nonprod"
    r"|preproduction|nonproduction|chaos|preview|integration)\d*"
)
_NOT: Final = ("pre", "non", "not", "no")
_ALTERNATIVES: Final = frozenset({
    "clusters", "cluster", "overlays", "overlay", "environments", "environment", "envs", "env", "stages", "regions",
    "region", "tenants", "sites", "examples", "samples", "base", "bases",
})  # fmt: skip
"""Folders whose sub-folders, or whose siblings, stand for each other: each is applied somewhere else."""


def production_word(segments: Sequence[str]) -> str | None:
    """The folder or file that says production; ``None`` where none does.

    ``live`` counts only where nothing says staging; ``pre-prod`` and ``non-prod`` are not production.
    """
    for segment in segments:
        if any(_PRODUCTION.fullmatch(word) for word in _words(segment)):
            return segment
    if staging_word(segments) is None:
        for segment in segments:
            if any(word in _MAYBE for word in _words(segment)):
                return segment
    return None


def staging_word(segments: Sequence[str]) -> str | None:
    """The folder that says staging, or another place that is meant to be broken; ``None`` where none does.

    The name of the file does not count: ``clusters/eu/test-fault.yaml`` is no less applied for its name.
    """
    return next((one for one in segments[:-1] if any(_STAGING.fullmatch(word) for word in _words(one))), None)


def applied_together(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether objects of two files may meet in one cluster.

    They may not where their paths part at folders that stand for each other: ``clusters/a`` and ``clusters/b``,
    ``overlays/staging`` and ``overlays/production``, ``base`` and anything beside it.
    """
    folders, others = tuple(one[:-1]), tuple(other[:-1])
    shared = 0
    while shared < min(len(folders), len(others)) and folders[shared] == others[shared]:
        shared += 1
    if shared and folders[shared - 1].lower() in _ALTERNATIVES and (folders != others):
        return False
    parting = [path[shared] for path in (folders, others) if shared < len(path)]
    return not any(_names_a_place(folder) for folder in parting)


def _names_a_place(folder: str) -> bool:
    return (
        folder.lower() in _ALTERNATIVES
        or production_word((folder, "")) is not None
        or staging_word((folder, "")) is not None
    )


def _words(segment: str) -> list[str]:
    """The words of a name; a negated one is joined to what negates it."""
    parts = [part for part in re.split(r"[^a-z0-9]+", segment.lower()) if part]
    words: list[str] = []
    for part in parts:
        if words and words[-1] in _NOT:
            words[-1] += part
        else:
            words.append(part)
    return words
