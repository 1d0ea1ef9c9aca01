"""All that a lint has to tell, for people and machines: text, JSON, SARIF 2.1.0, annotations of GitHub Actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from chaos.lint.rules.finding import PAGE, Finding, Place, Rule, Severity
from chaos.lint.rules.suppress import Suppressed
from chaos.lint.rules.table import RULES
from chaos.version import __version__

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_STDIN: Final = "-"


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


def summary(report: Report) -> str:
    """One line: what was checked and what was found."""
    looked = f"{_count(report.files, 'file')} read, {_count(report.objects, 'object')} checked"
    if report.findings:
        warnings = len(report.findings) - report.errors
        found = f"{_count(len(report.findings), 'finding')} ({_count(report.errors, 'error')}, {_count(warnings, 'warning')})"
    else:
        found = "no findings"
    ignored = f", {len(report.suppressed)} ignored by comments" if report.suppressed else ""
    return f"{looked}: {found}{ignored}" + (f"; the rules are in {PAGE}" if report.findings else "")


def as_text(report: Report) -> str:
    """One finding after the other, each with its place first, as editors understand it."""
    return "\n".join(
        f"{_where(one.place)}: {one.rule.severity}: {one.message} [{one.rule.id}]\n    hint: {one.hint}"
        for one in report.findings
    )


def as_json(report: Report) -> str:
    """Everything, for machines."""
    return _dumped(
        {
            "files": report.files,
            "objects": report.objects,
            "findings": [_plain(one) for one in report.findings],
            "suppressed": [{**_plain(one.finding), "reason": one.reason} for one in report.suppressed],
            "notes": report.notes,
        }
    )


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0 (OASIS), as code scanning takes it."""
    index = {rule: number for number, rule in enumerate(RULES)}
    results = [_result(one, index) for one in report.findings]
    for silenced in report.suppressed:
        suppression = {"kind": "inSource", "justification": silenced.reason}
        results.append({**_result(silenced.finding, index), "suppressions": [suppression]})
    notifications = [{"level": "note", "message": {"text": note}} for note in report.notes]
    return _dumped(
        {
            "$schema": _SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "chaosctl lint",
                            "semanticVersion": __version__,
                            "rules": [_descriptor(rule) for rule in RULES.values()],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
                    "results": results,
                }
            ],
        }
    )


def as_github(report: Report) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    return "\n".join(_command(one) for one in report.findings)


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
}


def _where(one: Place) -> str:
    file = "stdin" if one.file == _STDIN else one.file
    text = f"{file}:{one.line}:{one.column}"
    return f"{one.source} ({text})" if one.source else text


def _plain(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule.id,
        "severity": one.rule.severity,
        "file": one.place.file,
        "line": one.place.line,
        "column": one.place.column,
        "source": one.place.source or None,
        "object": one.subject or None,
        "message": one.message,
        "hint": one.hint,
        "page": one.rule.page,
    }


def _descriptor(rule: Rule) -> dict[str, Any]:
    # No helpUri: it would have to be an absolute address, and a copy of this page stands in every checkout.
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.title},
        "help": {"text": f"See {rule.page}", "markdown": f"See `{rule.page}`"},
        "defaultConfiguration": {"level": str(rule.severity)},
    }


def _result(one: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": {"uri": _uri(one.place)}}
    text = f"{one.message}\nhint: {one.hint}"
    if one.place.file == _STDIN:
        # The lines are those of the rendered text, which nobody can open.
        text += f"\n(line {one.place.line} of standard input)"
    else:
        where["region"] = {"startLine": one.place.line, "startColumn": one.place.column}
    return {
        "ruleId": one.rule.id,
        "ruleIndex": index[one.rule.id],
        "level": str(one.rule.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": where}],
    }


def _uri(one: Place) -> str:
    if one.file == _STDIN:
        return quote(one.source or "stdin")
    file = Path(one.file)
    return file.as_uri() if file.is_absolute() else quote(file.as_posix())


def _command(one: Finding) -> str:
    properties = {"title": one.rule.id}
    text = f"{one.message}\nhint: {one.hint}"
    if one.place.file == _STDIN:
        text += f"\n({_where(one.place)})"
    else:
        properties = {"file": one.place.file, "line": str(one.place.line), "col": str(one.place.column), **properties}
    level = "error" if one.rule.severity is Severity.ERROR else "warning"
    given = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    return f"::{level} {given}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    """Text as workflow commands need it: escaped by percent signs, so that no file can smuggle a command of its own in."""
    for character in ("%", "\r", "\n", *more):
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _dumped(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
