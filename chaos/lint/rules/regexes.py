"""Does Istio take the regexes? They are RE2's, which have less than those of Python, Go templates or Nginx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chaos.istio.regex import problem
from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import Hit, Path, is_placeholder


def regexes_are_taken(linted: Linted) -> Iterator[Hit]:
    """Every regex is one of RE2, of 1,024 bytes at most, and not empty (istiod ``validateStringMatchRegexp``)."""
    for one in linted.virtual_services:
        for number, route in enumerate(one.spec.get("http", ())):
            for path, pattern in _regexes(route):
                if not is_placeholder(pattern) and (wrong := problem(pattern)):
                    yield Hit(
                        manifest=one,
                        path=("spec", "http", number, *path),
                        message=f"{one.title}: Istio's webhook refuses the regex {pattern[:100]!r}: {wrong}",
                        hint="write it in RE2's syntax, without look-around and back-references",
                    )


def _regexes(route: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for key in ("match", "corsPolicy"):
        yield from _named(route.get(key), (key,))
    rewrite = route.get("rewrite")
    by = rewrite.get("uriRegexRewrite") if isinstance(rewrite, Mapping) else None
    if isinstance(by, Mapping) and isinstance(by.get("match"), str):
        yield ("rewrite", "uriRegexRewrite", "match"), by["match"]


def _named(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts that are called ``regex``; a header's ``*`` under ``withoutHeaders`` is none, it means any value."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _named(inner, (*path, index))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "regex" and isinstance(inner, str):
                if not ("withoutHeaders" in path and inner == "*"):
                    yield (*path, key), inner
            else:
                yield from _named(inner, (*path, key))
