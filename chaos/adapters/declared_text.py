"""The text of an experiment as reports show it: as its author wrote it, with stars for what its requests send."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from chaos.values.secrets import STARS, redacted

_SECRET: Final = ("headers", "body")


def without_secret_values(text: str) -> str:
    """YAML in which the values of ``load.requests[*].headers`` and ``body`` are stars, and all else is as it was.

    Args:
        text: YAML that could be read.
    """
    yaml: Any = YAML(typ="rt")
    yaml.version = (1, 2)
    nodes = [node for document in yaml.compose_all(io.StringIO(text)) for node in _secret(document)]
    for start, end in sorted({(node.start_mark.index, node.end_mark.index) for node in nodes}, reverse=True):
        ending = "\n" if text[start:end].endswith("\n") else ""  # of a block
        text = f"{text[:start]}'{STARS}'{ending}{text[end:]}"
    return redacted(text)


def _secret(document: Node | None) -> Iterator[ScalarNode]:
    for requests in _under(document, "load", "requests"):
        for request in requests.value if isinstance(requests, SequenceNode) else ():
            for name in _SECRET:
                for node in _under(request, name):
                    yield from _scalars(node)


def _under(node: Node | None, *path: str) -> Iterator[Node]:
    if not path:
        yield from () if node is None else (node,)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == path[0]:
                yield from _under(value, *path[1:])
            elif key.value == "<<":  # merged in from an anchor
                for one in value.value if isinstance(value, SequenceNode) else (value,):
                    yield from _under(one, *path)


def _scalars(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, MappingNode):
        for _, value in node.value:
            yield from _scalars(value)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _scalars(value)
