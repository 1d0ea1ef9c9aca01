"""Suppressions: a comment that names the rule and says why. There is no other way to silence a finding."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.lint.rules.finding import Finding, Rule

FORM: Final = "# chaos-lint: ignore=RULE -- why it is right here"
_NAMES: Final = re.compile(r":\s*ignore\s*=(.*)", re.DOTALL)
_SHOWN: Final = 60
_OWN: Final = "ignore-"
"""What the rules about suppressions start with: they can't be suppressed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """A comment that speaks to this linter.

    Args:
        text: What stands after ``# chaos-lint``.
        file: The file as it was named.
        line: Its line, from 1.
        column: Its column, from 1.
        document: Number of its document.
        covers: The line that it is about; ``None`` for the whole document.
        source: The template that the document says it comes from.
    """

    text: str
    file: str
    line: int
    column: int
    document: int
    covers: int | None
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suppressed:
    """A finding that a comment silences.

    Args:
        finding: What would have been told.
        reason: Why it is not.
    """

    finding: Finding
    reason: str


def suppress(
    findings: Iterable[Finding], comments: Sequence[Comment], rules: Mapping[str, Rule]
) -> tuple[list[Finding], list[Suppressed]]:
    """What is left after the comments, what is wrong with them included; and what they silence."""
    kept = list(findings)
    silenced: list[Suppressed] = []
    for comment in comments:
        names, _, reason = comment.text.partition("--")
        reason = reason.strip()
        understood = _NAMES.fullmatch(names)
        named = [name.strip() for name in understood[1].split(",")] if understood else []
        if not named or any(len(name.split()) != 1 for name in named):
            text = comment.text if len(comment.text) <= _SHOWN else comment.text[:_SHOWN] + "…"
            kept.append(
                _about(
                    comment, rules["ignore-not-understood"], f"'# chaos-lint{text}' is not understood", f"write {FORM}"
                )
            )
            continue
        known = [name for name in named if name in rules and not name.startswith(_OWN)]
        kept += [_unknown(comment, name, rules) for name in named if name not in known]
        if not reason:
            kept.append(
                _about(comment, rules["ignore-without-reason"], f"ignore={','.join(named)} does not say why, and silences nothing",
                       f"write {FORM}")
            )  # fmt: skip
            continue
        for name in known:
            hit = [one for one in kept if one.rule.id == name and _covers(comment, one)]
            silenced += [Suppressed(finding=one, reason=reason) for one in hit]
            kept = [one for one in kept if one not in hit]
            if not hit and not any(one.finding.rule.id == name and _covers(comment, one.finding) for one in silenced):
                kept.append(
                    _about(comment, rules["ignore-without-effect"], f"there is no finding of {name} here to ignore",
                           "take it out, or put it on the line of the finding, the line above, or the document's top")
                )  # fmt: skip
    return sorted(kept, key=lambda one: one.order), silenced


def _covers(comment: Comment, finding: Finding) -> bool:
    return (
        finding.document == comment.document and not finding.rule.id.startswith(_OWN)
        and (comment.covers is None or comment.covers == finding.line)
    )  # fmt: skip


def _unknown(comment: Comment, name: str, rules: Mapping[str, Rule]) -> Finding:
    if name in rules:
        return _about(
            comment, rules["ignore-of-unknown-rule"], f"{name} can't be ignored", "mend the comment it is about"
        )
    near = difflib.get_close_matches(name, rules, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the rules are: {', '.join(rules)}"
    return _about(comment, rules["ignore-of-unknown-rule"], f"there is no rule {name!r}", hint)


def _about(comment: Comment, rule: Rule, message: str, hint: str) -> Finding:
    return Finding(
        rule=rule,
        message=message,
        hint=hint,
        file=comment.file,
        line=comment.line,
        column=comment.column,
        source=comment.source,
        document=comment.document,
    )
