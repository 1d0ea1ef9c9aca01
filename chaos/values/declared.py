"""Base of what users declare, in YAML by Istio's camelCase keys and in Python by snake_case names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel

from chaos.errors import InputError
from chaos.values.content import JSON_PATH
from chaos.values.secrets import redacted

WRITTEN: Final = {"written": True}
"""The context in which an experiment file is read: some forms are for Python alone."""
RECORDED: Final = {"recorded": True}
"""The context in which records are read: what was allowed when they were written is not refused now."""
NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

STATUS_PATTERN: Final = r"^((<=|<|>=|>|=)?\s*\d{3}|[1-5]xx)$"

PATH_PATTERN: Final = r"^/\S*$"

HOST_PATTERN: Final = r"^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]

PLACED_PATTERN: Final = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Placed = Annotated[str, Field(pattern=PLACED_PATTERN, max_length=127)]
"""A name in the target's namespace, or ``namespace/name`` anywhere."""

HostName = Annotated[str, Field(pattern=HOST_PATTERN, max_length=253)]

_MESSAGES: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "too_long": "has too many entries",
    "too_short": "expected at least one entry",
}

_WORDS: Final = (
    ("Input should", "should"),
    ("String should", "should"),
    ("should be greater than or equal to", "expected at least"),
    ("should be less than or equal to", "expected at most"),
    ("should be greater than", "expected more than"),
    ("should be less than", "expected less than"),
    ("should have", "expected"),
    ("should be", "expected"),
    (", unable to parse string as a number", ""),
    (", unable to interpret input", ""),
    ("a valid number", "a number"),
    ("a finite number", "a number"),
    ("a valid boolean", "true or false"),
    *((f"a valid dictionary or instance of {vowel}", f"an {vowel}") for vowel in "AEIO"),
    ("a valid dictionary or instance of", "a"),
    ("a valid dictionary", "a mapping"),
    ("a valid tuple", "a list"),
    ("a valid string", "text"),
    ("a valid integer", "a whole number"),
    (f"should match pattern '{NAME_PATTERN}'", "expected only lower-case letters, digits and '-', such as order-svc"),
    (
        f"should match pattern '{PLACED_PATTERN}'",
        "expected a name such as order-svc, or namespace/name such as shop/order-svc",
    ),
    (f"should match pattern '{STATUS_PATTERN}'", "expected an HTTP status such as <500, 2xx or 200"),
    (f"should match pattern '{PATH_PATTERN}'", "expected a path that begins with / and has no spaces"),
    (
        f"should match pattern '{HOST_PATTERN}'",
        "expected the name of a host without scheme and port, such as shop.example",
    ),
    (f"should match pattern '{JSON_PATH}'", "expected names and places, such as stock.lines[0].source"),
)


class Declared(BaseModel):
    """Base of all declared data: frozen, and a key that isn't known is an error.

    Aliases come from a generator, and not from ``Field(alias=…)``: so type checkers see the names that Python users write.
    A class whose first values may be given by their place names them in ``positional``; its ``__init__`` under
    ``TYPE_CHECKING`` has the types that a user may pass, such as ``"3s"`` for a duration.

    Raises:
        InputError: values can't be used; it names all of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, alias_generator=to_camel)

    positional: ClassVar[tuple[str, ...]] = ()
    opened: ClassVar[str] = ""
    """A field whose own fields may be given in its place."""

    def __init__(self, /, *values: Any, **fields: Any) -> None:
        __tracebackhide__ = True  # pytest's traceback ends where the value was made
        kind = type(self).__name__
        if len(values) > len(self.positional):
            raise TypeError(f"{kind}: expected at most {len(self.positional)} positional values, got {len(values)}")
        placed = dict(zip(self.positional, values, strict=False))
        if twice := placed.keys() & fields:
            raise TypeError(f"{kind}: got two values for {', '.join(sorted(twice))}")
        try:
            super().__init__(**placed, **fields)
        except ValidationError as error:
            problems = list(dict.fromkeys(_in_python(type(self), error, {**placed, **fields})))
            told = problems[0] if len(problems) == 1 else "\n  ".join(["", *problems])
            raise InputError(f"{kind}: {told}") from None  # what pydantic says adds nothing to it

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # validation of YAML goes past it

    if not TYPE_CHECKING:  # else a checker would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen: {name} can't be set, make another one")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Described by the first paragraph of the docstring; the rest is for Python users. Defaults are as people write them."""
        found = handler(schema)
        described = handler.resolve_ref_schema(found)
        described["description"] = described.get("description", "").partition("\n\n")[0]
        written = cls.model_construct().model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
        for key, value in described["properties"].items():
            if value.pop("default", None) is not None:
                value["default"] = written[key]
        return found


def is_written(info: ValidationInfo) -> bool:
    """Whether what is validated was read from an experiment file."""
    return info.context == WRITTEN


def is_recorded(info: ValidationInfo) -> bool:
    """Whether what is validated was read from a record."""
    return info.context == RECORDED


_SECRET: Final = frozenset(
    ("bearer", "body", "ca", "certificate", "entry", "headers", "key", "password", "prometheus", "url")
)
_PUBLIC: Final = frozenset(("good", "match"))
SHAPES: Final = frozenset(("dict_type", "list_type", "model_attributes_type", "model_type", "tuple_type"))
"""Errors of a value that is no mapping or no list. What stands there as text may be all of what should be in it, secrets too."""


def wrong(item: Mapping[str, Any]) -> str:
    """What is wrong with a value, in plain words; the value, or a part of it, is left out where it may be a secret."""
    if item["type"] in _MESSAGES:
        return _MESSAGES[item["type"]]
    message = str(item["msg"]).removeprefix("Value error, ")
    for jargon, plain in _WORDS:
        message = message.replace(jargon, plain)
    hidden = _SECRET.intersection(item["loc"]) and not _PUBLIC.intersection(item["loc"])
    hidden = hidden or (item["type"] in SHAPES and isinstance(item["input"], str))
    if hidden or isinstance(item["input"], dict | list | tuple | timedelta | BaseModel | None):
        return redacted(message)
    return redacted(f"{item['input']!r}: {message}")


def told(error: ValidationError) -> list[str]:
    """The problems of settings, each with its place."""
    found = [(".".join(map(str, item["loc"])), wrong(item)) for item in error.errors(include_url=False)]
    return [f"{place}: {message}" if place else message for place, message in found]


def path_in(document: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where in a document an error is: without the steps that only the validator knows (names of union members)."""
    path: list[int | str] = []
    node = document
    for index, step in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(node, dict) and (step in node or last):
            path.append(step)
            node = node.get(step)
        elif isinstance(node, list | tuple) and isinstance(step, int) and step < len(node):
            path.append(step)
            node = node[step]
    return tuple(path)


def dotted(path: tuple[int | str, ...]) -> str:
    """A path as people write it: ``faults[0].abort``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _in_python(kind: type[Declared], error: ValidationError, given: dict[str, Any]) -> Iterator[str]:
    """The problems of an object that is made in Python, by the names that its user wrote."""
    names = {field.alias: name for name, field in kind.model_fields.items()}
    errors = error.errors(include_url=False)
    spoilt = {item["loc"][:1] for item in errors if len(item["loc"]) > 1}
    for item in errors:
        if item["type"] == "too_short" and item["loc"] in spoilt:
            continue  # there are enough entries: those that are wrong were not counted
        first, *rest = item["loc"] or ("",)
        path = dotted(path_in(given, (names.get(str(first), first), *rest)))
        message = _CAMEL.sub(lambda found: _python_names().get(found[0], found[0]), wrong(item))
        if kind.opened:
            path, message = path.removeprefix(f"{kind.opened}."), message.removeprefix(f"{kind.opened}.")
        if rest and isinstance(rest[0], int) and isinstance(given.get(path), BaseModel):
            message = f"expected a list: {path}=[…]"
        unknown = item["type"] == "extra_forbidden" and not rest
        near = difflib.get_close_matches(path, kind.model_fields, n=1) if unknown else []
        hint = f"; did you mean {near[0]}?" if near else ""
        yield (f"{path}: {message}" if path else message) + hint


_CAMEL: Final = re.compile(r"\b[a-z]+(?:[A-Z][a-z]+)+\b")


def _python_names() -> dict[str, str]:
    """The names in Python of all that users declare, by those in YAML."""
    found: dict[str, str] = {}
    kinds = [Declared]
    for kind in kinds:
        kinds += kind.__subclasses__()
        found |= {field.alias or name: name for name, field in kind.model_fields.items()}
    return found
