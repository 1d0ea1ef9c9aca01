"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chaos.doctor.examined import Examined

_SIGNS: Final = {"ok": "ok", "unknown": "?", "warning": "warning", "error": "error"}


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It could not be looked at: that is no error, and not well either."""
    WARNING = "warning"
    ERROR = "error"
    """Requests fail, or no run could show anything."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check found.

    Args:
        message: What was found, where.
        cause: What it usually comes from; empty where all is well.
        hint: What to do.
    """

    level: Level
    message: str
    cause: str = ""
    hint: str = ""


def ok(message: str) -> Finding:
    """All is well."""
    return Finding(level=Level.OK, message=message)


def unknown(message: str, hint: str) -> Finding:
    """It could not be looked at."""
    return Finding(level=Level.UNKNOWN, message=message, hint=hint)


def warning(message: str, *, cause: str, hint: str) -> Finding:
    """It may do harm."""
    return Finding(level=Level.WARNING, message=message, cause=cause, hint=hint)


def error(message: str, *, cause: str, hint: str) -> Finding:
    """It does harm."""
    return Finding(level=Level.ERROR, message=message, cause=cause, hint=hint)


@dataclass(frozen=True)
class Check:
    """A question to a mesh.

    Args:
        id: Its stable name.
        title: What it looks at, in one line.
        look: Finds something; nothing found is well.
        before_suites: Quick enough to be asked before every suite.
    """

    id: str
    title: str
    look: Callable[[Examined], Iterable[Finding]]
    before_suites: bool = True


@dataclass(frozen=True)
class Checked:
    """A check with what it found."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst of it."""
        return max((one.level for one in self.findings), key=list(Level).index, default=Level.OK)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        found = [asdict(one) for one in self.findings]
        return {"check": self.check.id, "title": self.check.title, "level": self.level, "findings": found}


def text(found: Iterable[Checked]) -> str:
    """For people: every finding, and for what is not well its cause and hint."""
    lines = []
    for one in found:
        for finding in one.findings:
            lines.append(f"{one.check.id}: {_SIGNS[finding.level]}: {finding.message}")
            lines += [f"    cause: {finding.cause}"] * bool(finding.cause)
            lines += [f"    hint: {finding.hint}"] * bool(finding.hint)
    return "\n".join(lines)
