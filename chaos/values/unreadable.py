"""Why a file can't be read, without what stands in it: parsers quote keys with their values, and these may be secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

UNREADABLE: Final = (OSError, ValueError, RecursionError, YAMLError)
"""What is raised where a file of YAML or TOML can't be read."""
_OF_YAML: Final = re.compile(r"'(\\?.|<[a-z ]+>)'")
"""What a parser may quote: one character, or a kind of token such as ``<block end>``."""
_QUOTED: Final = re.compile(r"\s*['\"].*['\"]", re.DOTALL)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a text. The line and the column count from 1; they are ``None`` where the parser does not say them."""

    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


def fault_of(error: Exception, text: str = "") -> Fault:
    """What an error says that is one of ``UNREADABLE``.

    Args:
        error: What was raised; PyYAML's errors are as good as ruamel's.
        text: What was read, to say where a key was the first time.
    """
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if isinstance(error, DuplicateKeyError):
        message = _twice(text, mark) or "a key appears twice"
    elif mark is not None:
        said = getattr(error, "problem", None) or getattr(error, "context", None) or "it can't be read"
        message = _QUOTED.sub("", said) if _QUOTED.search(_OF_YAML.sub("", said)) else said
    elif isinstance(error, OSError):
        message = error.strerror or "it can't be read"
    elif isinstance(error, UnicodeDecodeError):
        message = "it is not UTF-8 text"
    elif isinstance(error, RecursionError):
        message = "it is nested too deep"
    elif hasattr(error, "character"):
        message = "it has a character that no YAML may have"
    else:
        message = "it has a number or a date that is none"
    return Fault(message) if mark is None else Fault(message, mark.line + 1, mark.column + 1)


def _twice(text: str, mark: Any) -> str | None:
    """That the key at a place is the second of its mapping."""
    yaml: Any = YAML(typ="rt")
    with suppress(YAMLError):  # what was read as YAML 1.1 need not be 1.2
        for mapping in _mappings(list(yaml.compose_all(text))):
            keys = [key for key, _ in mapping.value]
            for key in keys:
                if (key.start_mark.line, key.start_mark.column) == (mark.line, mark.column):
                    first = next(one for one in keys if one.value == key.value)
                    return f"`{key.value}` appears twice, first in line {first.start_mark.line + 1}"
    return None


def _mappings(nodes: list[Node]) -> Iterator[MappingNode]:
    seen: set[int] = set()  # an anchor may stand for what it is in
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            yield node
            nodes += [value for _, value in node.value]
        elif isinstance(node, SequenceNode):
            nodes += node.value
