"""Watches: changes as they happen, one JSON object a line.

A client that sends ``sendInitialEvents`` gets what is there first, and then a bookmark that says so: newer clients of Go
list so (Kubernetes' WatchList).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from chaos.lab.api.errors import ApiError, bad_request
from chaos.lab.api.paths import Target, as_served, is_set
from chaos.lab.api.selectors import Selector
from chaos.lab.api.store import Event, Store
from chaos.lab.api.table import table, wanted

_HEARTBEAT: Final = 30.0
"""Seconds between bookmarks of a silent watch."""
_INITIAL_END: Final = "k8s.io/initial-events-end"


def watch(store: Store, request: Request, target: Target, selector: Selector | None) -> Response:
    """Tells changes as they happen: from a version on, or what is there first where none is named."""
    version = request.query_params.get("resourceVersion", "")
    streaming = is_set(request.query_params, "sendInitialEvents")
    start: list[Event] = []
    queue: asyncio.Queue[Event] = asyncio.Queue()
    unsubscribe = store.subscribe(queue.put_nowait)
    try:
        if streaming or version in ("", "0"):
            start = [Event("ADDED", target.resource, obj, store.version) for obj in store.list(target.resource)]
        else:
            start = list(store.since(int(version)))
    except ValueError as error:
        unsubscribe()
        raise bad_request(f"invalid resource version {version!r}") from error
    except ApiError as error:
        unsubscribe()
        return JSONResponse(error.status(), status_code=error.code)
    store_version = store.version  # of what is told at the start: all that comes later is in the queue
    as_table = wanted(request.headers.get("accept", ""))
    limit = float(request.query_params.get("timeoutSeconds") or 3600)

    async def stream() -> AsyncIterator[bytes]:
        known: set[str] = set()
        first = True
        loop = asyncio.get_running_loop()
        until = loop.time() + limit
        try:
            for event in start:
                line = _line(event, target, selector, known, as_table=as_table, first=first)
                if line is not None:
                    first = False
                    yield line
            if streaming:
                yield _bookmark(target, store_version, {_INITIAL_END: "true"})
            while (left := until - loop.time()) > 0:
                try:
                    event = await asyncio.wait_for(queue.get(), min(left, _HEARTBEAT))
                except TimeoutError:
                    if is_set(request.query_params, "allowWatchBookmarks"):
                        yield _bookmark(target, store.version)
                    continue
                line = _line(event, target, selector, known, as_table=as_table, first=first)
                if line is not None:
                    first = False
                    yield line
        finally:
            unsubscribe()

    return StreamingResponse(stream(), media_type="application/json")


def _line(
    event: Event, target: Target, selector: Selector | None, known: set[str], *, as_table: bool, first: bool
) -> bytes | None:
    """The watch's line for an event; an object that leaves the selection is told as deleted."""
    obj = event.object
    meta = obj["metadata"]
    if event.resource is not target.resource or (
        target.namespace is not None and meta.get("namespace") != target.namespace
    ):
        return None
    uid, kind = meta["uid"], event.type
    selected = selector is None or selector.matches(obj)
    if kind == "DELETED":
        if not selected and uid not in known:
            return None
        known.discard(uid)
    elif not selected:
        if uid not in known:
            return None
        known.discard(uid)
        kind = "DELETED"
    else:
        if selector is not None and kind == "MODIFIED" and uid not in known:
            kind = "ADDED"
        known.add(uid)
    if as_table:
        content = table(target.resource, [obj], version=meta["resourceVersion"], definitions=first)
    else:
        content = as_served(obj, target)
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def _bookmark(target: Target, version: int, annotations: Mapping[str, str] | None = None) -> bytes:
    obj = {
        "kind": target.resource.kind, "apiVersion": target.resource.api_version(target.version),
        "metadata": {"resourceVersion": str(version), **({"annotations": annotations} if annotations else {})},
    }  # fmt: skip
    return json.dumps({"type": "BOOKMARK", "object": obj}).encode() + b"\n"
