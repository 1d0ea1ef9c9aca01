"""What a request sends: JSON or YAML, protobuf of the kinds that kubectl sends so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import YAMLError
from starlette.requests import Request

from chaos.lab.api import protobuf
from chaos.lab.api.errors import ApiError, bad_request, unreadable
from chaos.lab.api.validation import Path, dotted
from chaos.values.unreadable import fault_of

_JSON: Final = "application/json"
_YAML: Final = "application/yaml"
_ACCEPTED: Final = (_JSON, _YAML, protobuf.MEDIA_TYPE)
_MOST: Final = 3 * 1024 * 1024
"""Bytes that Kubernetes reads of a body (``apiserver/pkg/server/config.go``)."""


@dataclass(frozen=True)
class Body:
    """An object that was sent, and the fields that were in it twice."""

    object: dict[str, Any]
    duplicates: tuple[str, ...] = ()


class _AsJson(SafeConstructor):
    """YAML 1.1 with what JSON has, as Kubernetes reads it: ``y`` is a boolean, a time is a text, and so is ``1:30``."""

    def construct_yaml_int(self, node: Any) -> Any:
        """A number."""
        return node.value if ":" in node.value else super().construct_yaml_int(node)


_AsJson.add_constructor("tag:yaml.org,2002:timestamp", _AsJson.construct_yaml_str)
_AsJson.add_constructor("tag:yaml.org,2002:int", _AsJson.construct_yaml_int)


class _Twice(dict[str, Any]):
    """A JSON object of which some keys came twice."""

    keys_twice: Sequence[str] = ()


async def read_object(request: Request, kind: str) -> Body:
    """The object of a POST or PUT.

    Args:
        request: Whose.
        kind: What it has to be, for the error.

    Raises:
        ApiError: 400, it is none; 413, it is too large; 415, it is written as the lab does not read it.
    """
    raw = await _raw(request)
    media_type = _media_type(request) or _JSON
    if media_type not in _ACCEPTED:
        raise unreadable(_ACCEPTED)
    if media_type == protobuf.MEDIA_TYPE:
        return Body(protobuf.decode(raw))
    try:
        value = _from_yaml(raw) if media_type == _YAML else json.loads(raw, object_pairs_hook=_pairs)
    except (ValueError, YAMLError) as error:
        raise _unrecognized(kind, f"couldn't get version/kind; json parse error: {_one_line(error)}") from error
    if not isinstance(value, dict):
        raise _unrecognized(kind, f"Object 'Kind' is missing in '{raw.decode(errors='replace')}'")
    return Body(value, tuple(dotted(path) for path in _twice(value, ())))


async def read_options(request: Request) -> dict[str, Any]:
    """The options that a DELETE may have as its body; no body means the same as an empty object.

    Raises:
        ApiError: 400, 413 or 415, as of an object.
    """
    raw = await _raw(request)
    return (await read_object(request, "DeleteOptions")).object if raw.strip() else {}


async def read_patch(request: Request) -> Any:
    """The body of a patch in JSON.

    Raises:
        ApiError: 400, it is none.
    """
    try:
        return json.loads(await _raw(request))
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error


async def read_yaml(request: Request) -> dict[str, Any]:
    """The object in the body of an apply patch.

    Raises:
        ApiError: 400, it is none, or a key comes twice: which one was meant, nobody can know.
    """
    raw = await _raw(request)
    try:
        value = _from_yaml(raw)
    except DuplicateKeyError as error:
        raise bad_request(f"error strict decoding YAML: {_one_line(error)}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {_one_line(error)}") from error
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: expected an object in the body")
    return value


def yaml_reader() -> YAML:
    """Reads YAML as Kubernetes does."""
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _AsJson
    reader.version = (1, 1)
    return reader


def _from_yaml(raw: bytes) -> Any:
    return yaml_reader().load(raw.decode())


async def _raw(request: Request) -> bytes:
    raw = await request.body()
    if len(raw) > _MOST:
        message = f"Request entity too large: limit is {_MOST}"
        raise ApiError(413, "RequestEntityTooLarge", message, details={})
    return raw


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip()


def _unrecognized(kind: str, why: str) -> ApiError:
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {why}")


def _one_line(error: Exception) -> str:
    return str(fault_of(error)) if isinstance(error, YAMLError) else " ".join(str(error).split())


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    keys = [key for key, _ in pairs]
    told = _Twice(made)
    told.keys_twice = [key for key in made if keys.count(key) > 1]
    return told


def _twice(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        if isinstance(value, _Twice):
            yield from ((*path, key) for key in value.keys_twice)
        for key, inner in value.items():
            yield from _twice(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _twice(inner, (*path, at))
