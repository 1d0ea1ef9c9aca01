"""YAML by libyaml: nodes with their positions, their plain values, and where in the text a value stands.

Positions are looked up only where something was found, by composing that document again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from chaos.lint.reading.documents import Document
from chaos.lint.rules.finding import Place
from chaos.lint.rules.manifest import Path

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:  # without libyaml PyYAML gives the same, some ten times slower
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_COMPACT: Final = re.compile(r"(?:[-?][ \t]+){50}")
_DEEPEST: Final = 200
_FEW_BRACKETS: Final = 500
_NUMBER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
}


class _Composer(_Loader):
    """Nodes with their positions; what a plain scalar is, is decided later and only for those that are looked at."""

    def resolve(self, *_: object) -> str:
        return ""

    def descend_resolver(self, *_: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


class Unreadable(Exception):
    """The text is not YAML; lines count from 0, within the document."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem, self.line, self.column = problem, line, column


def locate(document: Document, path: Path) -> Place:
    """The place of a value's key, or of the nearest thing around it that is there."""
    node = compose(document.text)
    mark = node.start_mark if node is not None else None
    for step in path:
        if isinstance(node, MappingNode):
            found = _entry(node, str(step), 0)
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
        else:
            break
    return document.place(mark.line, mark.column) if mark is not None else document.place(0, 0)


def scalar_spans(document: Document) -> list[tuple[tuple[int, int], tuple[int, int]]] | None:
    """Where texts and values stand, so that what looks like a comment in them is not taken for one; ``None``: not YAML."""
    loader = _Composer(document.text)
    spans = []
    try:
        while loader.check_token():
            token = loader.get_token()  # type: ignore[no-untyped-call]
            if isinstance(token, yaml.ScalarToken):
                start, end = token.start_mark, token.end_mark
                spans.append(((start.line, start.column), (end.line, end.column)))
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()
    return spans


def compose(text: str) -> Node | None:
    """The node of a document; ``None`` where it is empty.

    Raises:
        Unreadable: it is not YAML.
    """
    if "\\u" in text:
        # JSON writes what is outside the basic plane as two halves, which libyaml refuses. The width stays.
        text = _SURROGATE.sub(r"\\ufffd", text)
    _refuse_depth(text)
    loader = _Composer(text)
    try:
        node: Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "can't be read"
        raise Unreadable(what, *((mark.line, mark.column) if mark else (0, 0))) from error
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(" ".join(str(error).split())) from error
    finally:
        loader.dispose()
    return node


def _refuse_depth(text: str) -> None:
    """libyaml's composer recurses in C: without this, brackets by the hundred thousand end the process."""
    if text.count("[") + text.count("{") < _FEW_BRACKETS and not _COMPACT.search(text):
        return
    loader = _Composer(text)
    depth = 0
    try:
        while loader.check_event():
            event = loader.get_event()  # type: ignore[no-untyped-call]
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise Unreadable(f"nested more than {_DEEPEST} deep", event.start_mark.line, event.start_mark.column)
    except yaml.YAMLError:
        pass  # composing tells what it is
    finally:
        loader.dispose()


class Values:
    """Plain values of nodes; each node once, however many aliases lead to it."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()
        self.twice: list[ScalarNode] = []

    def of(self, node: Node) -> Any:
        """The value of a node."""
        if isinstance(node, ScalarNode):
            return _scalar(node)
        known = id(node)
        if known not in self._done:
            if known in self._open:
                raise Unreadable("an alias that holds itself", node.start_mark.line, node.start_mark.column)
            self._open.add(known)
            if isinstance(node, SequenceNode):
                self._done[known] = [self.of(one) for one in node.value]
            else:
                self._done[known] = self._mapping(node)
            self._open.discard(known)
        return self._done[known]

    def _mapping(self, node: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                continue
            inner = self.of(value)
            if _is_merge(key):
                for one in reversed(inner if isinstance(inner, list) else [inner]):
                    merged.update(one if isinstance(one, dict) else {})
                continue
            if key.value in found:
                self.twice.append(key)
            found[key.value] = inner
        return {**merged, **found} if merged else found


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == "<<" and not key.style


def _scalar(node: ScalarNode) -> Any:
    text: str = node.value
    if node.style or node.tag == "tag:yaml.org,2002:str":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) < 20:
        if _NUMBER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
    return text


def _entry(node: MappingNode, key: str, depth: int) -> tuple[Node, Node] | None:
    """The key's and value's nodes; the last where it is there twice, and what is merged in where it is not there."""
    for own, value in reversed(node.value):
        if isinstance(own, ScalarNode) and own.value == key:
            return own, value
    for own, value in node.value:
        if _is_merge(own) and depth < _DEEPEST:
            for one in value.value if isinstance(value, SequenceNode) else [value]:
                found = _entry(one, key, depth + 1) if isinstance(one, MappingNode) else None
                if found is not None:
                    return found
    return None
