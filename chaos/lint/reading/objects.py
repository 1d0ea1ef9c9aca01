"""Reads the Kubernetes objects out of a document, and says what is wrong with its form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from chaos.lint.reading.documents import Document
from chaos.lint.reading.nodes import Unreadable, Values, compose
from chaos.lint.rules.finding import Finding
from chaos.lint.rules.manifest import ISTIO, Manifest, Path, manifest
from chaos.lint.rules.table import RULES
from chaos.model.marks import PREFIX

_TEMPLATE: Final = re.compile(r"\{\{|\{%|<%|\$\[\[")


def read(
    document: Document, *, namespace: str | None, segments: tuple[str, ...], stream: str
) -> Iterator[Manifest | Finding | str]:
    """The objects of a document and what is wrong with its form; a note where it was not judged, and that hides no fault."""
    try:
        root = compose(document.text)
        if root is None:
            return
        values = Values()
        data = values.of(root)
    except (Unreadable, RecursionError) as error:
        deep = Unreadable("nested too deep, or an alias that holds itself")
        yield _not_read(document, error if isinstance(error, Unreadable) else deep)
        return
    for at, one in _objects(data):
        yield manifest(one, document=document.number, at=at, namespace=namespace, segments=segments, stream=stream)
    for key in values.twice if ISTIO in document.text else ():
        yield Finding(
            RULES["duplicate-key"],
            document.place(key.start_mark.line, key.start_mark.column),
            f"the key {key.value!r} is twice in one mapping, and only the last one counts",
            "delete the wrong one",
        )


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


def _not_read(document: Document, error: Unreadable) -> Finding | str:
    template = _TEMPLATE.search(document.text)
    last = max(0, document.text.rstrip().count("\n"))
    place = document.place(error.line, error.column) if error.line <= last else document.place(last, 0)
    if template is not None:  # where it begins to be one says more than where libyaml gave up
        begin = document.text.rfind("\n", 0, template.start()) + 1
        place = document.place(document.text.count("\n", 0, begin), template.start() - begin)
    if "VirtualService" not in document.text and f"{PREFIX}/" not in document.text:
        what = "a template, which has to be rendered first" if template else f"not YAML: {error.problem}"
        return f"{place.file}:{place.line}: not checked: {what}"
    if template:
        return Finding(
            RULES["unrendered-template"],
            place,
            f"a VirtualService in a template, which can't be checked before it is rendered ({error.problem})",
            "lint the rendered manifest: helm template CHART | chaosctl lint -",
        )
    return Finding(
        RULES["not-yaml"],
        place,
        f"a VirtualService in a document that is not YAML: {error.problem}",
        "correct the document: kubectl would refuse it as well",
    )
