"""One word per thing: what docs/glossary.md says is not used, is not used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.repository import pages, relative, text_of, tracked

INSTEAD = {
    r"\b(?:take|takes|taken|taking|took)(?: \w+){0,3} away\b": "restore",
    r"left behind": "residue",
    r"\bbroken rules?\b": "refusal",
    r"\bclass \w*(?:Claim|Sink)": "expectation, listener",
    r"\bthe doubt\b": "alpha",
}
"""Expressions that the project once used for a thing, and the glossary's word for it."""


def is_read(file: Path) -> bool:
    """What users and contributors read; decisions and changes of before keep the words of their time."""
    name = relative(file)
    code = name.startswith("chaos/") and name.endswith(".py") and not name.startswith("chaos/lab/")
    return code or (file in pages() and not name.startswith(("docs/adr/", "docs/glossary", "CHANGELOG", ".github/")))


@pytest.mark.parametrize("expression", INSTEAD)
def test_the_glossarys_word_is_used(expression: str) -> None:
    found = [
        f"{relative(file)}: {one[0]!r}; write: {INSTEAD[expression]}"
        for file in filter(is_read, tracked())
        for one in re.finditer(expression, text_of(file), re.IGNORECASE)
    ]
    assert not found, "\n".join(found)
