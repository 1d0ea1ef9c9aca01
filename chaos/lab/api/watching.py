"""Watches: changes as they happen, one JSON object a line.

A client that sends ``sendInitialEvents`` gets what is there first, and then a bookmark that says so: newer clients of Go
list so (Kubernetes' WatchList). When bookmarks come is as in ``apiserver/pkg/storage/cacher/cache_watcher.go``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from chaos.lab.api.errors import ApiError
from chaos.lab.api.negotiation import View
from chaos.lab.api.options import ListOptions, version_number
from chaos.lab.api.paths import Target
from chaos.lab.api.selectors import Selector
from chaos.lab.api.store import Event, Store

_BOOKMARKS_EVERY: Final = 60.0
"""Seconds."""
_BOOKMARK_BEFORE_END: Final = 2.0
"""Seconds before a watch's end at which it tells where it is."""
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}


def watch(store: Store, target: Target, options: ListOptions, view: View) -> Response:
    """Tells changes as they happen: from a version on, or what is there first where none is named.

    Raises:
        ApiError: The version can't be read.
    """
    from_now = options.version in ("", "0")
    version = store.version if from_now else version_number(options.version)
    initial = from_now if options.initial is None else options.initial
    queue: asyncio.Queue[Event] = asyncio.Queue()
    start: Iterable[Event] = ()
    gone: ApiError | None = None
    if initial:
        there = store.list(target.resource, target.namespace)
        start = [Event("ADDED", target.resource, obj, store.version) for obj in there]
    elif not from_now:
        try:
            start = store.since(version)
        except ApiError as error:
            gone = error
    unsubscribe = store.subscribe(queue.put_nowait)
    told = _Told(target, options.selector, view)
    at_start = store.version  # all that comes later is in the queue

    async def stream() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        until = loop.time() + options.timeout
        bookmark_at = min(loop.time() + _BOOKMARKS_EVERY, until - _BOOKMARK_BEFORE_END)
        pending = initial  # whether the bookmark that ends the beginning is still to come
        try:
            if gone is not None:
                yield _line("ERROR", gone.status())
                return
            for event in start:
                for line in told.of(event):
                    yield line
            if options.initial and options.bookmarks:
                yield told.bookmark(at_start, ends_beginning=True)
                pending = False
            while (now := loop.time()) < until:
                if options.bookmarks and now >= bookmark_at > until - options.timeout:
                    yield told.bookmark(store.version, ends_beginning=pending)
                    pending = False
                    bookmark_at = now + _BOOKMARKS_EVERY
                wake = min(until, bookmark_at) if bookmark_at > now else until
                try:
                    event = await asyncio.wait_for(queue.get(), wake - now)
                except TimeoutError:
                    continue
                if event.version > version:
                    for line in told.of(event):
                        yield line
        finally:
            unsubscribe()

    return StreamingResponse(stream(), media_type="application/json")


class _Told:
    """Events as one client is told them."""

    def __init__(self, target: Target, selector: Selector | None, view: View) -> None:
        self._target, self._selector, self._view = target, selector, view
        self._first = True

    def of(self, event: Event) -> Iterable[bytes]:
        """The line for an event, if it concerns the client; an object that leaves the selection is told as deleted."""
        obj, kind = event.object, event.type
        target = self._target
        home = obj["metadata"].get("namespace")
        if event.resource is not target.resource or (target.namespace is not None and home != target.namespace):
            return
        if self._selector is not None:
            selected = kind != "DELETED" and self._selector.matches(obj)
            before = event.old is not None and self._selector.matches(event.old)
            if not selected and not before:
                return
            if not selected and event.old is not None:
                kind = "DELETED"
                obj = {**event.old, "metadata": {**event.old["metadata"], "resourceVersion": str(event.version)}}
            elif kind == "MODIFIED" and not before:
                kind = "ADDED"
        definitions, self._first = self._first, False
        yield _line(kind, self._view.one(obj, target, definitions=definitions))

    def bookmark(self, version: int, *, ends_beginning: bool) -> bytes:
        """How far the watch is."""
        target = self._target
        meta = {"resourceVersion": str(version), **({"annotations": _INITIAL_END} if ends_beginning else {})}
        served = target.resource.api_version(target.version)
        return _line("BOOKMARK", {"kind": target.resource.kind, "apiVersion": served, "metadata": meta})


def _line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"
