"""What a request sends: JSON, protobuf of the kinds that kubectl sends so, or YAML where server-side apply has it."""

from __future__ import annotations

import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from starlette.requests import Request

from chaos.lab.api import protobuf
from chaos.lab.api.errors import bad_request


async def read(request: Request, *, optional: bool = False, any_type: bool = False) -> Any:
    """The object in the body.

    Args:
        request: Whose.
        optional: Nothing is as good as an empty object.
        any_type: Lists are taken too, as JSON patches are.

    Raises:
        ApiError: 400, it is none; 415, it is written as the lab does not read it.
    """
    raw = await request.body()
    if not raw.strip():
        if optional:
            return {}
        raise bad_request("expected an object in the body")
    if request.headers.get("content-type", "").partition(";")[0].strip() == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw)
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise bad_request(f"the body can't be decoded: {error}") from error
    if not isinstance(value, dict) and not any_type:
        raise bad_request("expected an object in the body")
    return value


async def read_yaml(request: Request) -> dict[str, Any]:
    """The object in the body of an apply patch.

    Raises:
        ApiError: 400, it is none.
    """
    try:
        value = YAML(typ="safe", pure=True).load((await request.body()).decode())
    except (YAMLError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise bad_request("expected an object in the body")
    return value
