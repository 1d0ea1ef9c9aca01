"""Lists in pages: ``limit`` and ``continue``, each list from one moment, as Kubernetes promises."""

from __future__ import annotations

import base64
import json
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.lab.api.errors import bad_request, expired

_KEPT: Final = 64
"""Lists that are under way at once; the oldest is forgotten first, and going on with it is 410."""


@dataclass(frozen=True)
class Page:
    """A part of a list.

    Args:
        version: The moment of the whole list.
        token: How to go on; empty at the end.
        remaining: How many come after it.
    """

    objects: Sequence[dict[str, Any]]
    version: str
    token: str = ""
    remaining: int = 0

    @property
    def metadata(self) -> dict[str, Any]:
        """The list's metadata."""
        meta: dict[str, Any] = {"resourceVersion": self.version}
        if self.token:
            meta.update({"continue": self.token, "remainingItemCount": self.remaining})
        return meta


class Pages:
    """Lists that clients are in the middle of. Stored objects never change, so keeping them costs little."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[Sequence[dict[str, Any]], str]] = OrderedDict()

    def first(self, objects: Sequence[dict[str, Any]], version: str, limit: str) -> Page:
        """The beginning of a list.

        Raises:
            ApiError: 400, ``limit`` is no number.
        """
        size = _number(limit)
        if not size or size >= len(objects):
            return Page(objects, version)
        key = secrets.token_hex(8)
        self._open[key] = objects, version
        while len(self._open) > _KEPT:
            self._open.popitem(last=False)
        return _cut(key, objects, version, 0, size)

    def following(self, token: str, limit: str) -> Page:
        """The next part of a list.

        Raises:
            ApiError: 400 for what is no token, 410 for one that is no longer known.
        """
        try:
            said = json.loads(base64.urlsafe_b64decode(token.encode()))
            key, start = str(said["list"]), int(said["from"])
        except (ValueError, KeyError, TypeError) as error:
            raise bad_request("continue key is not valid") from error
        if key not in self._open:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list "
                "without the continue parameter."
            )
        objects, version = self._open[key]
        return _cut(key, objects, version, start, _number(limit) or len(objects))


def _cut(key: str, objects: Sequence[dict[str, Any]], version: str, start: int, size: int) -> Page:
    end = start + size
    if end >= len(objects):
        return Page(objects[start:], version)
    token = base64.urlsafe_b64encode(json.dumps({"list": key, "from": end}).encode()).decode()
    return Page(objects[start:end], version, token, len(objects) - end)


def _number(limit: str) -> int:
    try:
        return int(limit or 0)
    except ValueError as error:
        raise bad_request(f"invalid limit {limit!r}") from error
