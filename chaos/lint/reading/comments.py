"""Finds the comments in a document that speak to the linter, and the lines that they are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from chaos.lint.reading.documents import Document
from chaos.lint.reading.nodes import scalar_spans
from chaos.lint.rules.suppress import Comment

_COMMENT: Final = re.compile(r"(?:(?<=\s)|^)#[ \t]*chaos-lint\b(.*)$")
_NO_CONTENT: Final = re.compile(r"[ \t]*+(?:#.*|%.*|---[ \t]*+(?:#.*)?|\.\.\.)?[ \t\r]*+")


def comments(document: Document) -> Iterator[Comment]:
    """The comments for the linter.

    At the end of a line one is about that line; on a line of its own, about the next line with content; before the first
    content of a document, about all of it. A document that is not YAML is read line by line, so that one can still stand
    beside what is wrong.
    """
    if "chaos-lint" not in document.text:
        return
    spans = scalar_spans(document) or []
    lines = document.text.split("\n")
    content = [number for number, line in enumerate(lines) if not _NO_CONTENT.fullmatch(line)]
    for number, line in enumerate(lines):
        found = _COMMENT.search(line)
        if found is None or any(start <= (number, found.start()) < end for start, end in spans):
            continue
        covers: int | None = number
        if number not in content:
            covers = next((one for one in content if one > number), number)
            if not content or number < content[0]:
                covers = None
        yield Comment(
            document.place(number, found.start()),
            text=found[1].rstrip(),
            covers=None if covers is None else document.line + covers + 1,
        )
