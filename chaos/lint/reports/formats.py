"""A lint's report for people and machines: text, JSON, SARIF 2.1.0, annotations of GitHub Actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from chaos.lint.reports.report import Report
from chaos.lint.rules.finding import PAGE, Finding, Rule, Severity
from chaos.lint.rules.table import RULES
from chaos.version import __version__

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_STDIN: Final = "-"


def summary(report: Report) -> str:
    """One line: what was looked at and what was found."""
    looked = f"{_count(report.files, 'file')} looked at, {_count(report.objects, 'object')} judged"
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
        f"{_place(one)}: {one.rule.severity}: {one.message} [{one.rule.id}]\n    hint: {one.hint}"
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


def _place(one: Finding) -> str:
    file = "stdin" if one.file == _STDIN else one.file
    place = f"{file}:{one.line}:{one.column}"
    return f"{one.source} ({place})" if one.source else place


def _plain(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule.id,
        "severity": one.rule.severity,
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "source": one.source or None,
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
    where: dict[str, Any] = {"artifactLocation": {"uri": _uri(one)}}
    text = f"{one.message}\nhint: {one.hint}"
    if one.file == _STDIN:
        # The lines are those of the rendered text, which nobody can open.
        text += f"\n(line {one.line} of standard input)"
    else:
        where["region"] = {"startLine": one.line, "startColumn": one.column}
    return {
        "ruleId": one.rule.id,
        "ruleIndex": index[one.rule.id],
        "level": str(one.rule.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": where}],
    }


def _uri(one: Finding) -> str:
    if one.file == _STDIN:
        return quote(one.source or "stdin")
    file = Path(one.file)
    return file.as_uri() if file.is_absolute() else quote(file.as_posix())


def _command(one: Finding) -> str:
    properties = {"title": one.rule.id}
    text = f"{one.message}\nhint: {one.hint}"
    if one.file == _STDIN:
        text += f"\n({_place(one)})"
    else:
        properties = {"file": one.file, "line": str(one.line), "col": str(one.column), **properties}
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
