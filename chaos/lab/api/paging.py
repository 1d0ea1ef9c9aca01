"""Lists in pages: ``limit`` and ``continue``, each list from one moment, as Kubernetes promises.

A token says the moment and where to go on, so nothing is kept for it (``apiserver/pkg/storage/continue.go``).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.lab.api.errors import ApiError, bad_request, expired, too_large
from chaos.lab.api.options import ListOptions, version_number
from chaos.lab.api.paths import Target
from chaos.lab.api.store import Object, Store

_CURRENT: Final = -1
"""In a token: of the present moment, since the list's own is no longer known."""
_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing "
    "with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the "
    "time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True)
class Page:
    """A part of a list.

    Args:
        version: The moment of the whole list.
        token: How to go on; empty at the end.
        remaining: How many come after it; ``None`` where a selector makes that unknown.
    """

    objects: Sequence[Object]
    version: str
    token: str = ""
    remaining: int | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The list's metadata."""
        meta: dict[str, Any] = {"resourceVersion": self.version}
        if self.token:
            meta["continue"] = self.token
        if self.remaining:
            meta["remainingItemCount"] = self.remaining
        return meta


def page(store: Store, target: Target, options: ListOptions) -> Page:
    """The part of a list that is asked for.

    Raises:
        ApiError: 400 for what is no token, 410 for a version that is no longer known, 504 for one that is not there yet.
    """
    version, start = store.version, ("", "")
    if options.token:
        if options.version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        asked, start = _read(options.token)
        version = version if asked == _CURRENT else asked
    elif options.version:
        asked = version_number(options.version, of_list=True)
        if asked > version:
            raise too_large(asked, version)
        version = asked if options.exact else version
    try:
        there = store.at(version, target.resource, target.namespace)
    except ApiError as error:
        if not options.token:
            raise expired("The resourceVersion for the provided list is too old.") from error
        raise expired(_TOO_OLD, token=_token(_CURRENT, start)) from error
    rest = [obj for obj in there if _place(obj) >= start]
    selector = options.selector
    chosen: list[Object] = []
    for at, obj in enumerate(rest):
        if options.limit and len(chosen) == options.limit:
            # As the API server, which asks its storage for no more than it needs: with a selector, nobody has counted.
            left = len(rest) - at if selector is None else None
            return Page(chosen, str(version), _token(version, _place(obj)), left)
        if selector is None or selector.matches(obj):
            chosen.append(obj)
    return Page(chosen, str(version))


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _token(version: int, start: tuple[str, str]) -> str:
    told = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(start)})
    return base64.urlsafe_b64encode(told.encode()).decode()


def _read(token: str) -> tuple[int, tuple[str, str]]:
    try:
        said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = str(said["start"]).rpartition("/")
        return int(said["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
