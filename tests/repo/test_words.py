"""One word per thing: what docs/glossary.md says is not used, is not used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.repository import ROOT, pages, prose_of, relative, tracked

INSTEAD = {
    r"\b(?:take|takes|taken|taking|took)(?: \w+){0,3} away\b": "restore",
    r"left behind": "residue",
    r"\bleftovers?\b(?!-of-a-run)": "residue",
    r"\bbroken rules?\b": "refusal",
    r"\bclass \w*(?:Claim|Sink)": "expectation, listener",
    r"\b(?:the|second of) doubt\b": "alpha",
    r"\berror budgets?\b": "alpha",
    r"\bscenarios?\b": "experiment",
    r"\bcatalogues?\b|\brecipes?\b": "library, template",
    r"\bvictims?\b": "target",
    r"\bobjectives?\b": "expectation",
    r"(?<!JWT )(?!(?<=\n)claims\n)\bclaims?\b(?! about Istio)|(?<!split-not-)\bclaimed\b": "expectation; expects, says",
    r"\bgolden signals?\b": "key metric",
    r"\babort conditions?\b": "guardrail",
    r"\bsimulators?\b|\bmocks?\b": "lab, stand-in",
    r"\bwinning\b|\bshadows\b": "governing, overlay",
    r"\breverts?\b|\brolls? back\b|\brolled back\b": "restore",
    r"\bgarbage\b(?! collect)": "residue",
    r"\bpurges?\b": "sweep",
    r"(?<!clock )\bticks?\b": "look",
    r"\bjudge?ments?\b(?!\.py)": "verdict",
    r"\btest namespaces?\b": "staging namespace",
    r"\banew\b": "again",
    r"\bfor want of\b": "because … is missing",
    r"\bmend(?:s|ed)?\b": "correct",
    r"\b(?:takes?|took|taken) (?:[\w.,]+ ){0,8}for good\b": "counts as good",
    r"\bheld against\b|\bholds? \w+ against\b": "compare with",
    r"\bbears? on\b": "matters to",
    r"\b(?:one|to) gets? in\b": "credentials",
    r"\btold from\b|\btold apart\b|\btells? apart\b": "distinguish",
    r"\bnothing makes this right\b|\bdoes not say itself\b": "a sentence that says what to do",
}
"""Expressions that the project does not use, and the glossary's word for each."""

OTHERS_WORDS = ("chaos/lab/api/", "chaos/lab/istio/")
"""What the lab says in the words of Kubernetes and of Istio, which are tested against theirs."""
OF_THEIR_DAY = ("docs/adr/", "docs/glossary", "CHANGELOG", ".github/")
"""The glossary, and decisions and changes of before, which keep the words of their time."""


def is_read(file: Path) -> bool:
    """What users and contributors read."""
    name = relative(file)
    code = name.startswith(("chaos/", "suites/")) and not name.startswith(OTHERS_WORDS)
    return (code and file.suffix != ".md") or (file in pages() and not name.startswith(OF_THEIR_DAY))


@pytest.mark.parametrize("expression", INSTEAD)
def test_the_glossarys_word_is_used(expression: str) -> None:
    found = [
        f"{relative(file)}: {one[0]!r}; write: {INSTEAD[expression]}"
        for file in filter(is_read, tracked())
        for one in re.finditer(expression, prose_of(file), re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_the_glossary_has_each_word_once() -> None:
    rows = re.findall(r"^\| ([^|]+?) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = [one for one in rows if one not in {"word", "write", "---"}]
    assert len(words) > 80
    assert len(words) == len(set(words))
