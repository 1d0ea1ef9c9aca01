"""Time that runs fast, and metrics and load of a shop that behaves: what a run needs beside the API, which is real here."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.engine.clock import SystemClock
from chaos.errors import LoadError, MetricsError
from chaos.model.experiment import Load as LoadSpec
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Question, Requests, Side
from chaos.values.series import Series

SPEED = 20.0
RATE = 1000
TARGET, ENTRY = "inventory-svc.staging.svc.cluster.local", "order-svc.staging.svc.cluster.local"


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


class ShopMetrics:
    """Prometheus over a shop whose callers' proxies obey what the API has: the live objects decide who is faulted."""

    def __init__(self, clock: FastClock, api: tuple[str, int]) -> None:
        self._clock = clock
        self._api = api
        self._at = float(int(clock.now())) - 5
        self._plain, self._faulted, self._all = 0.0, 0.0, 0.0
        self._samples: dict[str, list[tuple[float, float]]] = {"plain": [], "faulted": [], "all": []}
        self._share = 0.0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self.gone = False
        threading.Thread(target=self._go_on, daemon=True).start()

    def close(self) -> None:
        self._end.set()

    def _go_on(self) -> None:
        connection = http.client.HTTPConnection(*self._api, timeout=5)
        share = 0.0
        while not self._end.wait(0.5 / SPEED):
            try:
                connection.request("GET", "/apis/networking.istio.io/v1/namespaces/staging/virtualservices")
                items = json.loads(connection.getresponse().read())["items"]
            except (OSError, http.client.HTTPException):
                connection.close()  # the API server is gone: proxies keep what they have
            else:
                mine = [vs for vs in items if any(host.startswith("inventory-svc") for host in vs["spec"]["hosts"])]
                faults = [route["fault"] for vs in mine for route in vs["spec"].get("http") or () if "fault" in route]
                share = max([fault["abort"]["percentage"]["value"] / 100 for fault in faults], default=0.0)
            with self._lock:
                self._grow(share)
        connection.close()

    def _grow(self, share: float) -> None:
        """The seconds since the last look; where the fault came or went in between, nobody called meanwhile."""
        now = self._clock.now()
        rate = RATE if share == self._share else 0
        self._share = share
        while self._at + 1 <= now:
            self._at += 1
            self._plain += round(rate * (1 - share))
            self._faulted += round(rate * share)
            self._all += rate
            self._samples["plain"].append((self._at, self._plain))
            self._samples["all"].append((self._at, self._all))
            if self._faulted:
                self._samples["faulted"].append((self._at, self._faulted))

    def now(self) -> float:
        self._check()
        return self._clock.now()

    def version(self) -> str:
        return "simulated"

    def scrape_interval(self) -> float:
        return 1.0

    def wording(self, question: Question) -> str:
        return str(question)

    def samples(self, question: Question, *, seconds: float) -> Sequence[Series]:
        self._check()
        since = self._at - seconds
        if not isinstance(question, Requests) or question.side is Side.CALLED:
            return []
        host = question.host
        if host == TARGET:
            kinds = [("plain", "order-svc", "-", "200"), ("faulted", "order-svc", "FI", "503")]
        else:
            kinds = [("all", "ingress", "-", "200")]
        found = []
        for kind, caller, flags, code in kinds:
            with self._lock:
                kept = tuple(sample for sample in self._samples[kind] if sample[0] > since)
            if kept:
                labels = {
                    "job": "istio-proxies", "instance": caller, "reporter": "source", "destination_service": host,
                    "source_workload": caller, "source_workload_namespace": "staging",
                    "response_flags": flags, "response_code": code, "grpc_response_status": "",
                }  # fmt: skip
                found.append(Series(labels=labels, samples=kept))
        return found

    def _check(self) -> None:
        if self.gone:
            raise MetricsError("Prometheus is gone")


class SteadyLoad:
    """A generator that keeps its rate."""

    def __init__(self, clock: FastClock) -> None:
        self._clock = clock
        self._told: float | None = None
        self.died = ""

    def prepare(self, spec: LoadSpec, *, entry: str, headers: Mapping[str, str], base: Path) -> None:
        if self.died:
            raise LoadError(self.died)

    def start(self) -> None:
        self._told = float(int(self._clock.now()))

    def poll(self) -> Sequence[LoadSecond]:
        found = []
        while self._told is not None and self._told + 1 <= self._clock.now():
            cell = LoadCell(request="GET /", status=200, latencies={5.0: RATE})
            found.append(LoadSecond(at=self._told, intended=RATE, sent=RATE, cells=(cell,)))
            self._told += 1
        return found

    def failure(self) -> str | None:
        return self.died or None

    def stop(self) -> None:
        self._told = None
