"""``pods/log``: what a container wrote, whole, its last lines, or as it goes on writing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from chaos.lab.api.errors import bad_request

_LOOK_EVERY: Final = 0.1
"""Seconds between two looks at a log that is followed."""


@dataclass(frozen=True)
class Log:
    """What a container wrote.

    Attributes:
        file: Where it is.
        text: It, where there is no file.
        growing: Whether more may come.
    """

    file: Path | None = None
    text: str = ""
    growing: Callable[[], bool] = lambda: False


LogHandler = Callable[[str, str, str, bool], Log]
"""``(namespace, pod, container, previous)`` to the log; raises ``ApiError`` where there is none."""


def response(log: Log, asked: Mapping[str, str]) -> Response:
    """The answer to a request with these parameters; those for times are not heeded, since lines have none."""
    content = log.file.read_bytes() if log.file is not None and log.file.exists() else log.text.encode()
    last = _number(asked, "tailLines")
    lines = content.splitlines(keepends=True)
    shown = b"".join(lines[max(0, len(lines) - last) :]) if last is not None else content
    limit = _number(asked, "limitBytes")
    shown = shown[:limit] if limit is not None else shown
    if asked.get("follow") not in ("true", "1") or log.file is None:
        return PlainTextResponse(shown)
    return StreamingResponse(_following(log, log.file, shown, len(content)), media_type="text/plain")


async def _following(log: Log, file: Path, shown: bytes, at: int) -> AsyncIterator[bytes]:
    """What is there, and what comes until nothing more can come."""
    yield shown
    with file.open("rb") as opened:
        opened.seek(at)
        while True:
            growing = log.growing()  # before the look, so that the last words are not missed
            if more := opened.read():
                yield more
            elif not growing:
                return
            else:
                await asyncio.sleep(_LOOK_EVERY)


def _number(asked: Mapping[str, str], name: str) -> int | None:
    text = asked.get(name)
    if not text:
        return None
    if not text.isdigit():
        raise bad_request(f"invalid {name} {text!r}")
    return int(text)
