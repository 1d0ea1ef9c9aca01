"""Reads the Kubernetes objects out of a document, and says what is wrong with its form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chaos.lint.reading.documents import Document
from chaos.lint.reading.nodes import Unreadable, Values, compose
from chaos.lint.rules.finding import Finding
from chaos.lint.rules.manifest import ISTIO, Manifest, Path, manifest
from chaos.lint.rules.table import RULES
from chaos.model.marks import PREFIX

_TEMPLATE: Final = re.compile(r"\{\{|\{%|<%|\$\[\[")


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """What a document holds.

    Args:
        manifests: Its objects of interest.
        findings: What is wrong with its form.
        note: Why it was not judged, where that can't hide a fault.
    """

    manifests: tuple[Manifest, ...] = ()
    findings: tuple[Finding, ...] = ()
    note: str = ""


def read(document: Document, *, namespace: str | None, segments: tuple[str, ...], stream: str) -> Read:
    """The objects of a document."""
    try:
        root = compose(document.text)
        if root is None:
            return Read()
        values = Values()
        data = values.of(root)
    except Unreadable as error:
        return _not_read(document, error)
    except RecursionError:
        return _not_read(document, Unreadable("nested too deep, or an alias that holds itself"))
    manifests = tuple(
        manifest(one, document=document.number, at=at, namespace=namespace, segments=segments, stream=stream)
        for at, one in _objects(data)
    )
    findings: tuple[Finding, ...] = ()
    if values.twice and ISTIO in document.text:
        findings = tuple(
            Finding(
                rule=RULES["duplicate-key"],
                message=f"the key {key.value!r} is there twice in one mapping, and only the last counts",
                hint="take out the one that is not meant",
                file=document.file,
                line=document.line + key.start_mark.line + 1,
                column=key.start_mark.column + 1,
                source=document.source,
                document=document.number,
            )
            for key in values.twice
        )
    return Read(manifests=manifests, findings=findings)


def _objects(data: Any, at: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The objects of a document: itself, or those of a list."""
    if isinstance(data, list):
        for index, one in enumerate(data):
            yield from _objects(one, (*at, index))
    elif isinstance(data, dict):
        kind = data.get("kind")
        if isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list):
            for index, one in enumerate(data["items"]):
                # Items of a typed list may leave out what the list says for all of them.
                typed = {"kind": kind.removesuffix("List"), "apiVersion": data.get("apiVersion")}
                whole = {**typed, **one} if kind != "List" and isinstance(one, dict) else one
                yield from _objects(whole, (*at, "items", index))
        elif isinstance(kind, str):
            yield at, data


def _not_read(document: Document, error: Unreadable) -> Read:
    template = _TEMPLATE.search(document.text)
    last = max(0, document.text.rstrip().count("\n"))
    line, column = (error.line, error.column) if error.line <= last else (last, 0)
    if template is not None:  # where it begins to be one says more than where libyaml gave up
        begin = document.text.rfind("\n", 0, template.start()) + 1
        line, column = document.text.count("\n", 0, begin), template.start() - begin
    line, column = document.line + line + 1, column + 1
    if "VirtualService" not in document.text and f"{PREFIX}/" not in document.text:
        what = "a template, to be rendered first" if template else f"not YAML: {error.problem}"
        return Read(note=f"{document.file}:{line}: not judged: {what}")
    rule = RULES["unrendered-template" if template else "not-yaml"]
    return Read(
        findings=(
            Finding(
                rule=rule,
                message=f"a VirtualService in a template, of which nothing is known before it is rendered ({error.problem})"
                if template
                else f"a VirtualService in a document that is not YAML: {error.problem}",
                hint="lint what it becomes: helm template CHART | chaosctl lint -"
                if template
                else "mend the document: kubectl would refuse it as well",
                file=document.file,
                line=line,
                column=column,
                source=document.source,
                document=document.number,
            ),
        )
    )
