"""istiod's part: watches the objects, waits for quiet, and pushes every proxy its configuration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chaos.lab.api.store import Event, Store
from chaos.lab.istio import tls
from chaos.lab.istio.authority import LIFETIME, Authority, Certificate
from chaos.lab.istio.monitoring import Monitoring
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.registry import WATCHED, Registry
from chaos.lab.istio.snapshot import Snapshot
from chaos.lab.istio.translate import translate
from chaos.lab.istio.xds import Discovery

_CERTIFICATES_LOOKED_AT: Final = 300.0
"""Seconds between two looks at the age of certificates where nothing else changes."""
_RENEWED_AT: Final = 0.8
"""Part of a certificate's lifetime after which the next one is issued."""


class ControlPlane:
    """Tells every proxy its configuration.

    Args:
        store: The cluster's objects.
        debounce: Seconds of quiet before a push (istiod ``PILOT_DEBOUNCE_AFTER``).
        debounce_max: Longest that a push waits for quiet (istiod ``PILOT_DEBOUNCE_MAX``).
    """

    def __init__(self, store: Store, *, debounce: float = 0.1, debounce_max: float = 10.0) -> None:
        self._store = store
        self._debounce = debounce
        self._debounce_max = debounce_max
        self._proxies: dict[tuple[str, str], Proxy] = {}
        self._registry = Registry(store, self._proxies)
        self._authority = Authority()
        self._certificates: dict[tuple[str, str], Certificate] = {}
        self.monitoring = Monitoring()
        self.discovery = Discovery(on_converged=self.monitoring.converged)
        self.monitoring.watch(self)
        self._changed = asyncio.Event()
        self._first_change: float | None = None
        self._last_change = 0.0
        self._delay = 0.0
        self._pushing = asyncio.Event()
        self._pushing.set()
        self._pushes = 0
        self._pushed: Snapshot | None = None
        self._convergence = 0.0
        store.subscribe(self._notice)

    def add_proxy(self, proxy: Proxy) -> None:
        """A proxy connects: it gets its configuration at once, or an empty one while pushing is stopped."""
        self._proxies[proxy.key] = proxy
        self.discovery.forget(proxy.node)
        # As from istiod, it gets what was pushed last; what has changed since then comes with the next push.
        self._publish(proxy, (self._pushed or self._renewed()) if self._pushing.is_set() else Snapshot())

    def remove_proxy(self, proxy: Proxy) -> None:
        """A proxy is gone."""
        self._proxies.pop(proxy.key, None)
        self._certificates.pop(proxy.key, None)
        self.discovery.forget(proxy.node)

    def rotate(self) -> None:
        """Every workload gets a new certificate, as when the old one is about to expire."""
        self._certificates.clear()
        self._mark()

    def set_delay(self, seconds: float) -> None:
        """Every push waits this long from now on; 0 ends it."""
        self._delay = seconds

    def stop_pushing(self) -> None:
        """Nothing is distributed from now on; proxies go on with what they have."""
        self._pushing.clear()

    def resume_pushing(self) -> None:
        """Distributes again, first of all what has changed meanwhile."""
        self._pushing.set()

    def pushed(self) -> Mapping[str, int]:
        """Answers with something new so far, by kind."""
        return {str(kind): count for kind, count in self.discovery.sent.items()}

    def rejected(self) -> Mapping[str, int]:
        """What proxies did not take so far, by kind."""
        return {str(kind): count for kind, count in self.discovery.rejected.items()}

    def refusals(self) -> Mapping[tuple[str, tuple[str, ...]], Sequence[Proxy]]:
        """By kind and objects, the proxies that refused what became of these."""
        nodes = {proxy.node: proxy for proxy in self._proxies.values()}
        found: dict[tuple[str, tuple[str, ...]], list[Proxy]] = {}
        for one in self.discovery.refusals():
            found.setdefault((one.kind, one.objects), []).append(nodes[one.node])
        return found

    def stats(self) -> Mapping[str, float]:
        """Pushes so far, seconds of the last one from its first change to the last file, the settings."""
        return {
            "pushes": self._pushes,
            "last_convergence_seconds": round(self._convergence, 4),
            "proxies": len(self._proxies),
            "delay_seconds": self._delay,
            "pushing": float(self._pushing.is_set()),
        }

    async def run(self) -> None:
        """Pushes until it is cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._changed.wait(), _CERTIFICATES_LOOKED_AT)
            except TimeoutError:
                self._mark()  # some certificate may be about to expire
            await self._quiet()
            await self._pushing.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
                await self._pushing.wait()
            first = self._first_change if self._first_change is not None else time.monotonic()
            self._changed.clear()
            self._first_change = None
            await self._push(first)
            self._convergence = time.monotonic() - first

    async def _quiet(self) -> None:
        while True:
            now = time.monotonic()
            quiet = self._last_change + self._debounce - now
            most = (self._first_change or now) + self._debounce_max - now
            if quiet <= 0 or most <= 0:
                return
            await asyncio.sleep(min(quiet, most))

    async def _push(self, since: float) -> None:
        snapshot = self._renewed()
        self._pushes += 1
        for proxy in tuple(self._proxies.values()):
            if proxy.key in self._proxies:
                self._publish(proxy, snapshot, since=since)
            await asyncio.sleep(0)  # the API goes on answering meanwhile

    def _notice(self, event: Event) -> None:
        if event.resource in WATCHED:
            self._mark()

    def _mark(self) -> None:
        self._last_change = time.monotonic()
        if self._first_change is None:
            self._first_change = self._last_change
        self._changed.set()

    def _publish(self, proxy: Proxy, snapshot: Snapshot, *, since: float | None = None) -> None:
        secrets = list(self._secrets(proxy, snapshot))
        self.discovery.publish(proxy.node, {**translate(proxy, snapshot), "secrets": secrets}, since=since)

    def _secrets(self, proxy: Proxy, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
        """Its own certificate, whom it trusts, and of a gateway what its namespace holds."""
        mine = self._certificates.get(proxy.key)
        if mine is None or mine.expires - datetime.now(UTC) < LIFETIME * (1 - _RENEWED_AT):
            mine = self._certificates[proxy.key] = self._authority.issue(proxy.uri)
        yield tls.certificate_secret(tls.OWN_CERTIFICATE, mine.chain, mine.key)
        yield tls.trust_secret(tls.TRUSTED, self._authority.root)
        if proxy.kind == "router":
            own = [one for one in snapshot.secrets if one["metadata"]["namespace"] == proxy.namespace]
            yield from tls.gateway_secrets(own)

    def _renewed(self) -> Snapshot:
        """Everything as it is now, for this push and for proxies that connect until the next one."""
        self.discovery.change()
        self._pushed = self._registry.snapshot()
        return self._pushed
