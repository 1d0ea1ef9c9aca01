"""What an answer's content is recognised by: a header, a text in its body, a value in its JSON.

The load generator looks at each answer as it comes, and only tells which markers matched: no content is recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from chaos.values.frozen import Frozen

JSON_PATH: Final = r"^(\$\.?)?[^.\[\]\s$]+(\.[^.\[\]\s]+|\[\d+\])*$"
"""Names after dots and places in brackets, such as ``stock.lines[0].source``; a part of RFC 9535."""
_STEP: Final = re.compile(r"\[(\d+)\]|[^.\[\]$]+")
_NOTHING: Final = object()

Scalar = str | bool | int | float | None


class Content:
    """The content of one answer.

    Args:
        headers: Their names count in any case.
        body: As it was sent, without its transport encoding.
    """

    def __init__(self, headers: Mapping[str, str], body: bytes) -> None:
        self.headers = {key.lower(): value for key, value in headers.items()}
        self.body = body

    @cached_property
    def document(self) -> Any:
        """The body as JSON; something that equals nothing where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return _NOTHING


class Header(Frozen):
    """A header of the answer has a value."""

    kind: Literal["header"] = "header"
    name: str
    value: str

    def matches(self, content: Content) -> bool:
        """Whether it is there with this value."""
        return content.headers.get(self.name.lower()) == self.value

    def __str__(self) -> str:
        return f"header {self.name}: {self.value}"


class Body(Frozen):
    """The answer's body holds a text."""

    kind: Literal["body"] = "body"
    text: str

    def matches(self, content: Content) -> bool:
        """Whether the text is in it, in UTF-8."""
        return self.text.encode() in content.body

    def __str__(self) -> str:
        return f"{json.dumps(self.text, ensure_ascii=False)} in the body"


class Json(Frozen):
    """The answer's JSON has a value at a path."""

    kind: Literal["json"] = "json"
    path: str
    value: Scalar

    def matches(self, content: Content) -> bool:
        """Whether the value is there, and of the same type: the text ``"1"`` is not the number 1, nor is ``true``."""
        node = content.document
        for place, name in ((found[1], found[0]) for found in _STEP.finditer(self.path)):
            if place is not None and isinstance(node, list) and int(place) < len(node):
                node = node[int(place)]
            elif place is None and isinstance(node, dict) and name in node:
                node = node[name]
            else:
                return False
        return _type(node) is _type(self.value) and node == self.value

    def __str__(self) -> str:
        return f"JSON {self.path} = {json.dumps(self.value, ensure_ascii=False)}"


Marker = Annotated[Header | Body | Json, Field(discriminator="kind")]


def _type(value: object) -> type:
    return float if type(value) is int else type(value)
