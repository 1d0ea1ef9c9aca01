"""Suppressions: a comment that names the rule and says why. There is no other way to silence a finding."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.lint.rules.finding import Finding, Place, Rule

FORM: Final = "# chaos-lint: ignore=RULE -- why it is right here"
_NAMES: Final = re.compile(r":\s*ignore\s*=(.*)", re.DOTALL)
_SHOWN: Final = 60
_OWN: Final = "ignore-"
"""What the rules about suppressions start with: they can't be suppressed."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that speaks to this linter.

    Args:
        place: Where it stands.
        text: What stands after ``# chaos-lint``.
        covers: The line that it is about; ``None`` for the whole document.
    """

    place: Place
    text: str
    covers: int | None


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that a comment silences, and why."""

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
            message = f"'# chaos-lint{text}' is not understood"
            kept.append(Finding(rules["ignore-not-understood"], comment.place, message, f"write {FORM}"))
            continue
        known = [name for name in named if name in rules and not name.startswith(_OWN)]
        kept += [_unknown(comment, name, rules) for name in named if name not in known]
        if not reason:
            message = f"ignore={','.join(named)} has no reason, so it silences nothing"
            kept.append(Finding(rules["ignore-without-reason"], comment.place, message, f"write {FORM}"))
            continue
        for name in known:
            hit = [one for one in kept if one.rule.id == name and _covers(comment, one)]
            silenced += [Suppressed(one, reason) for one in hit]
            kept = [one for one in kept if one not in hit]
            if not hit and not any(one.finding.rule.id == name and _covers(comment, one.finding) for one in silenced):
                message = f"there is no finding of {name} here to ignore"
                hint = "delete it, or move it to the line of the finding, the line above, or the document's top"
                kept.append(Finding(rules["ignore-without-effect"], comment.place, message, hint))
    return sorted(kept, key=lambda one: (one.place, one.rule.id)), silenced


def _covers(comment: Comment, finding: Finding) -> bool:
    return (
        finding.place.document == comment.place.document and not finding.rule.id.startswith(_OWN)
        and comment.covers in (None, finding.place.line)
    )  # fmt: skip


def _unknown(comment: Comment, name: str, rules: Mapping[str, Rule]) -> Finding:
    message, hint = f"{name} can't be ignored", "correct the comment itself"
    if name not in rules:
        near = difflib.get_close_matches(name, rules, n=1)
        message = f"there is no rule {name!r}"
        hint = f"did you mean {near[0]}?" if near else f"the rules are: {', '.join(rules)}"
    return Finding(rules["ignore-of-unknown-rule"], comment.place, message, hint)
