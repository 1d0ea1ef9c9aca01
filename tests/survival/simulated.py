"""Time that runs fast, and proxies of a shop that obey what the API has: what a run needs beside the API, which is real here."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence

from chaos.engine.clock import SystemClock
from chaos.ports import Object
from chaos.testing.instruments import ShopLoad, ShopMetrics
from chaos.testing.traffic import Traffic

SPEED = 20.0


class FastClock(SystemClock):
    """Seconds of a run pass in a twentieth of a second."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._wall = time.time()

    def now(self) -> float:
        return self._wall + (time.monotonic() - self._began) * SPEED

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / SPEED)


class Proxies:
    """They have what the API has, as long as it answers; else they keep what they had."""

    def __init__(self, clock: FastClock, api: tuple[str, int]) -> None:
        self._clock = clock
        self._api = api
        self._had: list[tuple[float, Sequence[Object]]] = []
        self._over = threading.Event()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def close(self) -> None:
        """Listens no longer: the address may be another server's soon."""
        self._over.set()
        self._listening.join()

    def in_effect(self, at: float) -> Sequence[Object]:
        return next((there for since, there in reversed(self._had) if since <= at), ())

    def _listen(self) -> None:
        connection = http.client.HTTPConnection(*self._api, timeout=5)
        while not self._over.wait(0.5 / SPEED):
            try:
                connection.request("GET", "/apis/networking.istio.io/v1/namespaces/staging/virtualservices")
                there = json.loads(connection.getresponse().read())["items"]
            except (OSError, http.client.HTTPException):
                connection.close()
            else:
                if not self._had or there != self._had[-1][1]:
                    self._had.append((self._clock.now(), there))
        connection.close()


class FastShop:
    """A shop whose orders go on over a real API."""

    def __init__(self, api: tuple[str, int]) -> None:
        self.clock = FastClock()
        self._proxies = Proxies(self.clock, api)
        traffic = Traffic(self.clock, self._proxies)
        self.metrics, self.load = ShopMetrics(self.clock, traffic), ShopLoad(traffic)

    def close(self) -> None:
        self._proxies.close()
