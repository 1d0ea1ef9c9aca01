"""Lints the manifests of a repository or of standard input."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from chaos.errors import InputError
from chaos.lint.reading.comments import comments
from chaos.lint.reading.documents import INTERESTING, Document, documents, has_object, is_relevant
from chaos.lint.reading.files import STDIN, Source, find
from chaos.lint.reading.nodes import locate
from chaos.lint.reading.objects import read
from chaos.lint.reports import Report
from chaos.lint.rules.finding import Finding, Rule
from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import Hit, Manifest
from chaos.lint.rules.suppress import Comment, suppress
from chaos.lint.rules.table import RULES, check
from chaos.model.settings import Settings

_BEGINNING = 8192
"""Bytes in which a file shows that it is not text."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def lint(paths: Sequence[str], *, settings: Settings, namespace: str | None = None) -> Report:
    """Everything that is wrong in the manifests at these paths.

    Raises:
        InputError: a path can't be read, or nothing is there to look at.
    """
    gathered = _Gathered(namespace)
    for found in find(paths):
        if isinstance(found, Source):
            gathered.add(found)
        else:
            gathered.take(found)
    if not gathered.files and not gathered.findings:
        more = "".join(f"\nnote: {note}" for note in gathered.notes)
        raise InputError(
            f"{', '.join(paths)}: expected manifests (*.yaml, *.yml, *.json), found none to check{more}",
            hint="name a file or folder, or pipe rendered manifests: kustomize build … | chaosctl lint -",
        )
    return gathered.report(settings)


class _Gathered:
    """What was read so far."""

    def __init__(self, namespace: str | None) -> None:
        self.namespace = namespace
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.files = 0
        self._manifests: list[Manifest] = []
        self._comments: list[Comment] = []
        self._documents: dict[int, Document] = {}
        self._next = 0

    def add(self, source: Source) -> None:
        """Reads a file; what can't hold anything of interest costs no more than a search through its bytes."""
        self.files += 1
        content = source.content
        wide = content.startswith(_UTF16)
        if source.name == STDIN and not content.strip():
            raise InputError(
                "expected manifests on standard input, found nothing",
                hint="check whether the command before the pipe failed; `set -o pipefail` makes the shell notice that",
            )
        if not wide and source.name != STDIN and not INTERESTING.search(content):
            if b"\0" in content[:_BEGINNING]:
                self.notes.append(f"{source.name}: binary, not checked")
            return
        text = self._decoded(source, wide=wide)
        if text is None:
            return
        if source.name == STDIN and not has_object(text):
            raise InputError(
                "expected manifests on standard input, found text without any object (kind: …)",
                hint="check whether the command before the pipe printed an error",
            )
        for document in documents(text, file=source.name, first=self._next):
            self._next = document.number + 1
            self._read(document, source)

    def _decoded(self, source: Source, *, wide: bool) -> str | None:
        if not wide and b"\0" in source.content:
            if source.name == STDIN:
                raise InputError("expected manifests on standard input, found binary data")
            self.notes.append(f"{source.name}: binary, not checked")
            return None
        try:
            return source.content.decode("utf-16" if wide else "utf-8-sig")
        except UnicodeDecodeError as error:
            self.notes.append(
                f"{source.name}: not UTF-8 ({error.reason} at byte {error.start}), checked as far as possible"
            )
            return source.content.decode("utf-8", errors="replace")

    def _read(self, document: Document, source: Source) -> None:
        self._comments += comments(document)
        if not is_relevant(document):
            return
        segments = source.segments
        if not segments and document.source:
            segments = tuple(document.source.split("/"))
        for found in read(document, namespace=self.namespace, segments=segments, stream=source.name):
            self.take(found)
        self._documents[document.number] = document

    def take(self, found: Manifest | Finding | str) -> None:
        """Puts what was found to its like."""
        if isinstance(found, Manifest):
            self._manifests.append(found)
        elif isinstance(found, Finding):
            self.findings.append(found)
        else:
            self.notes.append(found)

    def report(self, settings: Settings) -> Report:
        """Judges what was read."""
        findings = self.findings + [self._placed(rule, hit) for rule, hit in check(Linted(self._manifests, settings))]
        kept, silenced = suppress(findings, self._comments, RULES)
        return Report(
            findings=tuple(kept),
            suppressed=tuple(silenced),
            notes=tuple(self.notes),
            files=self.files,
            objects=len(self._manifests),
        )

    def _placed(self, rule: Rule, hit: Hit) -> Finding:
        one = hit.manifest
        place = locate(self._documents[one.document], one.at + hit.path)
        return Finding(rule, place, hit.message, hit.hint, subject=one.title)
