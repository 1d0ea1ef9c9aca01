"""Hands every proxy its configuration: Envoy's REST discovery, by requests that wait until there is something new.

No file is watched, so that a lab needs none of the few inotify instances that a user has, and a proxy's next request
says whether it took what it was sent: Envoy repeats the version that it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from chaos.lab.istio.refusals import Refusal, behind

PREFIX: Final = "/v3/"
Kind = Literal["clusters", "routes", "listeners", "secrets"]
KINDS: Final[Mapping[str, str]] = {
    "clusters": "envoy.config.cluster.v3.Cluster",
    "routes": "envoy.config.route.v3.RouteConfiguration",
    "listeners": "envoy.config.listener.v3.Listener",
    "secrets": "envoy.extensions.transport_sockets.tls.v3.Secret",
}
HELD: Final = 20.0
"""Seconds after which a request that waits is told that nothing changed; Envoy's own limit is twice as long."""
_RETRY_REJECTED: Final = 10.0
_SETTLE: Final = 1.0
"""Seconds that routes and listeners wait at most for the clusters that they lead to (istio/istio#8420)."""
Resources = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class _Sent:
    version: str
    at: float
    taken: bool = False
    rejected: bool = False


@dataclass(slots=True)
class _Feed:
    """What one proxy is to have, and what it was sent."""

    resources: dict[Kind, dict[str, str]] = field(default_factory=dict)
    sent: dict[tuple[Kind, tuple[str, ...]], _Sent] = field(default_factory=dict)
    versions: dict[tuple[Kind, tuple[str, ...]], str] = field(default_factory=dict)
    taken: dict[tuple[Kind, tuple[str, ...]], Mapping[str, str]] = field(default_factory=dict)
    refused: dict[tuple[Kind, tuple[str, ...]], tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Versions, and the objects behind what is new in them."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = 0.0
    outstanding: set[Kind] = field(default_factory=set)

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def chosen(self, kind: Kind, names: tuple[str, ...]) -> dict[str, str]:
        there = self.resources.get(kind, {})
        return {name: text for name, text in there.items() if not names or name in names}

    def version(self, kind: Kind, names: tuple[str, ...]) -> str:
        """Of the present resources; the same ones have the same version."""
        if (kind, names) not in self.versions:
            self.versions[kind, names] = _version(self.chosen(kind, names).values())
        return self.versions[kind, names]

    def clusters_settled(self, now: float) -> bool:
        """Whether the proxy took its newest clusters or rejected them, or had them for long enough to do so."""
        sent = self.sent.get(("clusters", ()))
        if sent is None or sent.version != self.version("clusters", ()):
            return False
        return sent.taken or sent.rejected or now - sent.at > _SETTLE


class _Texts:
    """JSON, remembered by the objects' identity until the next change: proxies share most of what they are sent."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, str]] = {}

    def forget(self) -> None:
        self._known.clear()

    def resource(self, one: Mapping[str, Any]) -> str:
        found = self._known.get(id(one))
        if found is None:
            # A route configuration is a proxy's own, and its virtual hosts are those of many.
            parts = (f"{json.dumps(key)}:{self._value(value)}" for key, value in one.items())
            found = self._known[id(one)] = (one, f"{{{','.join(parts)}}}")
        return found[1]

    def _value(self, value: object) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        found = self._known.get(id(value))
        if found is None:
            found = self._known[id(value)] = (value, json.dumps(value))
        return found[1]


class Discovery:
    """The configuration of all proxies, by the ids of their nodes.

    Args:
        on_converged: Told the seconds between a change and the moment when a proxy had all of it.
    """

    def __init__(self, on_converged: Callable[[float], None] | None = None) -> None:
        self._on_converged = on_converged
        self._feeds: dict[str, _Feed] = {}
        self._closing = False
        self._texts = _Texts()
        self.sent: dict[Kind, int] = {"clusters": 0, "routes": 0, "listeners": 0, "secrets": 0}
        """Answers with something new, by kind."""
        self.rejected: dict[Kind, int] = dict.fromkeys(self.sent, 0)
        """Versions that a proxy did not take, by kind."""

    def publish(self, node: str, resources: Mapping[Kind, Resources], *, since: float | None = None) -> None:
        """What a proxy is to have from now on, of every kind that is named; ``since`` is when the change was made."""
        feed = self._feeds.setdefault(node, _Feed())
        new = {
            kind: {str(one["name"]): self._texts.resource(one) for one in listed} for kind, listed in resources.items()
        }
        changed = {kind for kind, texts in new.items() if feed.resources.get(kind) != texts}
        if changed:
            feed.since = time.monotonic() if since is None else since
            feed.outstanding = changed - {"secrets"}
            feed.resources = {**feed.resources, **new}
            feed.versions.clear()
            feed.wake()

    def change(self) -> None:
        """What is published from now on was made again."""
        self._texts.forget()

    def forget(self, node: str) -> None:
        """A proxy is gone."""
        feed = self._feeds.pop(node, None)
        if feed is not None:
            feed.wake()

    def refusals(self) -> list[Refusal]:
        """What proxies refused, as long as it is what they should have."""
        return [
            Refusal(node, kind, objects)
            for node, feed in self._feeds.items()
            for (kind, names), (version, objects) in feed.refused.items()
            if version == feed.version(kind, names)
        ]

    def close(self) -> None:
        """Lets everybody go who waits."""
        self._closing = True
        for feed in self._feeds.values():
            feed.wake()

    def app(self) -> Starlette:
        """The application that serves ``/v3/discovery:<kind>``."""
        return Starlette(routes=[Route(f"{PREFIX}discovery:{{kind}}", self._handle, methods=["POST"])])

    async def _handle(self, request: Request) -> Response:
        named = request.path_params["kind"]
        kind: Kind | None = next((one for one in self.sent if one == named), None)
        if kind is None:
            return Response(f"no such kind: {named}", 404)
        try:
            asked = await request.json()
        except (ValueError, ClientDisconnect):
            return Response("a DiscoveryRequest in JSON expected", 400)
        node = (asked.get("node") or {}).get("id", "")
        names = tuple(sorted(asked.get("resource_names") or ()))
        answer = await self._next(node, kind, names, asked.get("version_info", ""))
        if answer is None:
            return Response(status_code=304)
        return Response(answer, media_type="application/json")

    async def _next(self, node: str, kind: Kind, names: tuple[str, ...], has: str) -> str | None:
        """The next answer that is news for the proxy; ``None`` where there is none for long."""
        until = time.monotonic() + HELD
        while not self._closing and (left := until - time.monotonic()) > 0:
            feed = self._feeds.get(node)
            if feed is None:
                return None
            texts, version = feed.chosen(kind, names), feed.version(kind, names)
            waits = left
            if kind not in feed.resources or (names and not texts) or self._answered(feed, kind, names, has, version):
                pass
            elif kind in ("routes", "listeners") and not feed.clusters_settled(time.monotonic()):
                waits = min(left, _SETTLE)
            else:
                feed.sent[kind, names] = _Sent(version, time.monotonic())
                self.sent[kind] += 1
                url = f"type.googleapis.com/{KINDS[kind]}"
                return f'{{"version_info":"{version}","type_url":"{url}","resources":[{",".join(texts.values())}]}}'
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(feed.changed.wait(), waits)
        return None

    def _answered(self, feed: _Feed, kind: Kind, names: tuple[str, ...], has: str, version: str) -> bool:
        """Whether the proxy has this version, or was sent it and did not take it."""
        sent = feed.sent.get((kind, names))
        now = time.monotonic()
        if has == version:
            if sent is None or sent.version != version:
                sent = feed.sent[kind, names] = _Sent(version, now)
            if not sent.taken:
                sent.taken = True
                feed.taken[kind, names] = feed.chosen(kind, names)
                self._took(feed, kind)
                feed.wake()
            return True
        if sent is None or sent.version != version:
            return False
        if now - sent.at > _RETRY_REJECTED:
            return False  # the answer may have been lost on its way
        if not sent.rejected:
            sent.rejected = True
            self.rejected[kind] += 1
            objects = behind(feed.chosen(kind, names), feed.taken.get((kind, names), {}))
            feed.refused[kind, names] = (version, objects)
            feed.wake()
        return True

    def _took(self, feed: _Feed, kind: Kind) -> None:
        if kind in feed.outstanding:
            feed.outstanding.discard(kind)
            if not feed.outstanding and self._on_converged is not None:
                self._on_converged(time.monotonic() - feed.since)


def _version(texts: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()
