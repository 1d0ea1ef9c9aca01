"""Reads Kubernetes objects out of YAML and JSON text, fast, and tells where in the text a value stands.

A repository has thousands of documents of which few matter here. So a text is cut into its documents first, those that
can't hold an object of interest are left alone, and the others are composed by libyaml. Positions are looked up only where
something was found, by composing that document again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from chaos.lint import RULES, Finding, Manifest, manifest
from chaos.lint.manifest import ISTIO, Path
from chaos.model.marks import PREFIX

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:  # without libyaml PyYAML gives the same, some ten times slower
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_KINDS: Final = (
    "VirtualService", "DestinationRule", "ServiceEntry", "Service", "Sidecar", "Namespace", "Application",
    "ApplicationSet", "Kustomization", "GitRepository", "HelmRelease",
)  # fmt: skip
_ANY_KIND: Final = rf"(?:(?:{'|'.join(_KINDS)})(?:List)?|List)"
_NAMED: Final = re.compile(rf"""\bkind["']?\s*:\s*(?:[&!]\S*\s+)*["']?{_ANY_KIND}\b""")
_TOP: Final = re.compile(r"^kind[ \t]*:(.*)$", re.MULTILINE)
_PLAIN: Final = re.compile(r"""["']?([A-Za-z0-9]+)["']?""")
_WANTED: Final = re.compile(_ANY_KIND)
INTERESTING: Final = re.compile(rf"{_NAMED.pattern}|{re.escape(PREFIX)}/|#[ \t]*chaos-lint\b".encode())
"""Bytes without which a file has nothing to look at."""

_CUT: Final = re.compile(r"^(?=---(?:[ \t\r\n]|\Z))|^\.\.\.(?:[ \t\r][^\n]*)?(?:\n|\Z)", re.MULTILINE)
"""Before a line that starts a document, and behind one that ends it."""
_BEGUN: Final = re.compile(r"^---", re.MULTILINE)
_BARE: Final = re.compile(r"(?:[ \t]*+(?:#[^\n]*|%[^\n]*|---[ \t]*+(?:#[^\n]*)?|\.\.\.)?[ \t\r]*+(?:\n|\Z))*")
_SOURCE: Final = re.compile(r"^# Source: (\S[^\r\n]*?)[ \t\r]*$", re.MULTILINE)
_TEMPLATE: Final = re.compile(r"\{\{|\{%|<%|\$\[\[")
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One document of a text.

    Args:
        number: Over everything that is linted.
        file: The file as it was named.
        line: How many lines of the file come before it.
        text: Its text.
        source: The template that it says it was rendered from, as ``helm template`` writes it; else empty.
    """

    number: int
    file: str
    line: int
    text: str
    source: str = ""


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


class _Composer(_Loader):
    """Nodes with their positions; what a plain scalar is, is decided later and only for those that are looked at."""

    def resolve(self, *_: object) -> str:
        return ""

    def descend_resolver(self, *_: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


class _Unreadable(Exception):
    """The text is not YAML; lines count from 0, within the document."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem, self.line, self.column = problem, line, column


def documents(text: str, *, file: str, first: int) -> Iterator[Document]:
    """Cuts a text where YAML says that a document ends; comments before the first ``---`` go with what follows.

    Two ``---`` with nothing between them are an empty document, as ``helm template`` writes where a template gives nothing.

    A line that starts with ``---`` ends a document wherever it stands, even in a block of text (YAML 1.2, 9.1.2).
    """
    cuts = [found.end() for found in _CUT.finditer(text)]
    begin = 0
    line = passed = 0
    for end in (*cuts, len(text)):
        piece = text[begin:end]
        if not piece or (end < len(text) and not _BEGUN.search(piece) and _BARE.fullmatch(piece)):
            continue  # nothing but comments so far
        line += text.count("\n", passed, begin)
        passed = begin
        for offset, part in _pieces(piece):
            head = _BARE.match(part)
            found = _SOURCE.search(part, 0, head.end() if head else 0)
            yield Document(number=first, file=file, line=line + offset, text=part, source=found[1] if found else "")
            first += 1
        begin = end


def _pieces(piece: str) -> Iterator[tuple[int, str]]:
    """A document, or the JSON values that stand one after the other in it, as ``jq`` writes them; with their lines."""
    start = len(piece) - len(piece.lstrip())
    if not piece.startswith("{", start) or "}" not in piece.rstrip()[:-1]:
        yield 0, piece
        return
    decoder = json.JSONDecoder()
    ends: list[int] = []
    position = start
    try:
        while position < len(piece):
            _, position = decoder.raw_decode(piece, position)
            ends.append(position)
            position += len(piece) - position - len(piece[position:].lstrip())
    except (ValueError, RecursionError):
        ends = []
    if len(ends) < 2:
        yield 0, piece
        return
    begin = 0
    for end in (*ends[:-1], len(piece)):
        yield piece.count("\n", 0, begin), " " * (begin - piece.rfind("\n", 0, begin) - 1) + piece[begin:end]
        begin = end


def has_object(text: str) -> bool:
    """Whether a text has anything that could be a Kubernetes object, of whatever kind."""
    return re.search(r"""(?:^|[\s{,])["']?kind["']?\s*:""", text) is not None


def is_relevant(document: Document) -> bool:
    """Whether a document may hold an object that a rule asks about."""
    text = document.text
    if f"{PREFIX}/" in text:
        return True
    if not _NAMED.search(text):
        return False
    # A plain `kind:` at the left edge is the object's own; others belong to something inside, as in a
    # CustomResourceDefinition. Where it is not plain, or elsewhere, the document is read.
    kinds = [_PLAIN.fullmatch(value.partition(" #")[0].strip()) for value in _TOP.findall(text)]
    return not kinds or any(kind is None or _WANTED.fullmatch(kind[1]) for kind in kinds)


def read(document: Document, *, namespace: str | None, segments: tuple[str, ...], stream: str) -> Read:
    """The objects of a document."""
    try:
        root = _compose(document.text)
        if root is None:
            return Read()
        values = _Values()
        data = values.of(root)
    except _Unreadable as error:
        return _not_read(document, error)
    except RecursionError:
        return _not_read(document, _Unreadable("nested too deep, or an alias that holds itself"))
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


def locate(document: Document, path: Path) -> tuple[int, int]:
    """Line and column in the file of a value's key, or of the nearest thing around it that is there."""
    node = _compose(document.text)
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
    return (document.line + mark.line + 1, mark.column + 1) if mark is not None else (document.line + 1, 1)


def scalar_spans(document: Document) -> list[tuple[tuple[int, int], tuple[int, int]]] | None:
    """Where texts and values stand, so that what looks like a comment in them is not taken for one; ``None``: not YAML."""
    loader = _Composer(document.text)
    spans = []
    try:
        while loader.check_token():
            token = loader.get_token()  # type: ignore[no-untyped-call]
            if isinstance(token, yaml.ScalarToken):
                spans.append(
                    (
                        (token.start_mark.line, token.start_mark.column),
                        (token.end_mark.line, token.end_mark.column),
                    )
                )
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()
    return spans


# --- nodes ---------------------------------------------------------------------------------------------------------------


def _compose(text: str) -> Node | None:
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
        raise _Unreadable(what, *((mark.line, mark.column) if mark else (0, 0))) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _Unreadable(" ".join(str(error).split())) from error
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
                raise _Unreadable(f"nested more than {_DEEPEST} deep", event.start_mark.line, event.start_mark.column)
    except yaml.YAMLError:
        pass  # composing tells what it is
    finally:
        loader.dispose()


class _Values:
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
                raise _Unreadable("an alias that holds itself", node.start_mark.line, node.start_mark.column)
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


def _not_read(document: Document, error: _Unreadable) -> Read:
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
