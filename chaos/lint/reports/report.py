"""All that a lint has to tell."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.lint.rules.finding import Finding, Severity
from chaos.lint.rules.suppress import Suppressed


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was found, and what was looked at.

    Args:
        findings: By place.
        suppressed: What comments silence.
        notes: What was not judged, and why.
        files: How many files were looked at; standard input is one.
        objects: How many objects in them could matter and were judged.
    """

    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()
    notes: tuple[str, ...] = ()
    files: int = 0
    objects: int = 0

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.rule.severity is Severity.ERROR for one in self.findings)
