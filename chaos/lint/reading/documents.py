"""Cuts a text into its documents, and tells which of them may hold an object of interest.

A repository has thousands of documents of which few matter here, so most are recognised by their text and never composed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.lint.rules.finding import Place
from chaos.model.marks import PREFIX

_KINDS: Final = (
    "VirtualService", "DestinationRule", "ServiceEntry", "Service", "Sidecar", "Namespace", "Application",
    "ApplicationSet", "Kustomization", "GitRepository", "HelmRelease",
)  # fmt: skip
_ANY_KIND: Final = rf"(?:(?:{'|'.join(_KINDS)})(?:List)?|List)"
_NAMED: Final = re.compile(rf"""\bkind["']?\s*:\s*(?:[&!]\S*\s+)*["']?{_ANY_KIND}\b""")
_TOP: Final = re.compile(r"^kind[ \t]*:(.*)$", re.MULTILINE)
_PLAIN: Final = re.compile(r"""["']?([A-Za-z0-9]+)["']?""")
_WANTED: Final = re.compile(_ANY_KIND)
INTERESTING: Final = re.compile(rf"{_NAMED.pattern}|{re.escape(PREFIX)}/|#[ \t]*chaos-lint\b".encode())
"""Bytes without which a file has nothing to look at."""

_CUT: Final = re.compile(r"^(?=---(?:[ \t\r\n]|\Z))|^\.\.\.(?:[ \t\r][^\n]*)?(?:\n|\Z)", re.MULTILINE)
"""Before a line that starts a document, and behind one that ends it."""
_BEGUN: Final = re.compile(r"^---", re.MULTILINE)
_BARE: Final = re.compile(r"(?:[ \t]*+(?:#[^\n]*|%[^\n]*|---[ \t]*+(?:#[^\n]*)?|\.\.\.)?[ \t\r]*+(?:\n|\Z))*")
_SOURCE: Final = re.compile(r"^# Source: (\S[^\r\n]*?)[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One document of a text, with its number over everything that is linted.

    ``line`` is how many lines of the file come before it; ``source`` the template that it says it was rendered from, as
    ``helm template`` writes it, else empty.
    """

    number: int
    file: str
    line: int
    text: str
    source: str = ""

    def place(self, line: int, column: int) -> Place:
        """Where something stands, by its line and column within this document, which count from 0."""
        return Place(self.file, self.line + line + 1, column + 1, self.source, self.number)


def documents(text: str, *, file: str, first: int) -> Iterator[Document]:
    """Cuts a text where YAML says that a document ends; comments before the first ``---`` go with what follows.

    Two ``---`` with nothing between them are an empty document, as ``helm template`` writes where a template gives nothing.

    A line that starts with ``---`` ends a document wherever it stands, even in a block of text (YAML 1.2, 9.1.2).
    """
    cuts = [found.end() for found in _CUT.finditer(text)]
    begin = 0
    line = passed = 0
    for end in (*cuts, len(text)):
        piece = text[begin:end]
        if not piece or (end < len(text) and not _BEGUN.search(piece) and _BARE.fullmatch(piece)):
            continue  # nothing but comments so far
        line += text.count("\n", passed, begin)
        passed = begin
        for offset, part in _pieces(piece):
            head = _BARE.match(part)
            found = _SOURCE.search(part, 0, head.end() if head else 0)
            yield Document(number=first, file=file, line=line + offset, text=part, source=found[1] if found else "")
            first += 1
        begin = end


def _pieces(piece: str) -> Iterator[tuple[int, str]]:
    """A document, or the JSON values that stand one after the other in it, as ``jq`` writes them; with their lines."""
    start = len(piece) - len(piece.lstrip())
    if not piece.startswith("{", start) or "}" not in piece.rstrip()[:-1]:
        yield 0, piece
        return
    decoder = json.JSONDecoder()
    ends: list[int] = []
    position = start
    try:
        while position < len(piece):
            _, position = decoder.raw_decode(piece, position)
            ends.append(position)
            position += len(piece) - position - len(piece[position:].lstrip())
    except (ValueError, RecursionError):
        ends = []
    if len(ends) < 2:
        yield 0, piece
        return
    begin = 0
    for end in (*ends[:-1], len(piece)):
        yield piece.count("\n", 0, begin), " " * (begin - piece.rfind("\n", 0, begin) - 1) + piece[begin:end]
        begin = end


def has_object(text: str) -> bool:
    """Whether a text has anything that could be a Kubernetes object, of whatever kind."""
    return re.search(r"""(?:^|[\s{,])["']?kind["']?\s*:""", text) is not None


def is_relevant(document: Document) -> bool:
    """Whether a document may hold an object that a rule asks about."""
    text = document.text
    if f"{PREFIX}/" in text:
        return True
    if not _NAMED.search(text):
        return False
    # A plain `kind:` at the left edge is the object's own; others belong to something inside, as in a
    # CustomResourceDefinition. Where it is not plain, or elsewhere, the document is read.
    kinds = [_PLAIN.fullmatch(value.partition(" #")[0].strip()) for value in _TOP.findall(text)]
    return not kinds or any(kind is None or _WANTED.fullmatch(kind[1]) for kind in kinds)
