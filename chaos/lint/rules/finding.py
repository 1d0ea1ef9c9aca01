"""What a rule says about what it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from chaos.lint.rules.manifest import Hit

if TYPE_CHECKING:
    from chaos.lint.rules.linted import Linted

PAGE: Final = "docs/reference/lint.md"
"""The page that describes every rule under a heading of its own."""


class Severity(StrEnum):
    """How bad it is; every finding makes the exit code 1."""

    ERROR = "error"
    """Somebody outside staging may feel it, or it does not do what it says."""
    WARNING = "warning"
    """It depends on what is not in these files."""


Check = Callable[["Linted"], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A question that is asked of everything that is linted.

    Args:
        id: Its stable name: what a suppression names, and the anchor on :data:`PAGE`.
        severity: How bad an answer is.
        title: What it finds, in one line.
        check: Finds it; ``None`` where it is found while reading.
    """

    id: str
    severity: Severity
    title: str
    check: Check | None = None

    @property
    def page(self) -> str:
        """Where to read more."""
        return f"{PAGE}#{self.id}"


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1.

    Args:
        file: The file as it was named; ``-`` for standard input.
        source: The template that a rendered document says it comes from; empty where it says nothing.
        document: Number of the document, over everything that is linted; -1 where it is about the file.
    """

    file: str
    line: int = 1
    column: int = 1
    source: str = ""
    document: int = -1


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found, at its place, for people and machines.

    Args:
        rule: Which rule.
        place: Where.
        message: What is wrong, with the value.
        hint: What would make it right.
        subject: The object, such as ``VirtualService shop/reviews``; empty where it is about the file.
    """

    rule: Rule
    place: Place
    message: str
    hint: str
    subject: str = ""
