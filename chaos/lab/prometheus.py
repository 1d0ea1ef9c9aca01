"""The lab's Prometheus: a real server that scrapes every Envoy each second."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from chaos.errors import LabError
from chaos.lab.addresses import free_port
from chaos.lab.needed import find_prometheus
from chaos.lab.processes import Child
from chaos.lab.state import write_atomically

_LOG: Final = logging.getLogger(__name__)
SCRAPE_INTERVAL: Final = "1s"
_EVALUATION_INTERVAL: Final = "1s"
_SCRAPE_TIMEOUT: Final = "900ms"
_RETENTION: Final = "6h"


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint to scrape, with the labels that its series get."""

    address: str
    labels: Mapping[str, str]


class Prometheus:
    """One Prometheus server with its configuration and data in the lab's folder.

    Args:
        directory: Where its files go.
        log: Its log.
        metric_relabel_configs: Applied to every scraped series.
        on_exit: Called when it ends by itself.
    """

    def __init__(
        self,
        directory: Path,
        *,
        log: Path,
        metric_relabel_configs: Sequence[Mapping[str, Any]],
        on_exit: Callable[[Child], None] | None = None,
    ) -> None:
        self._directory = directory
        self._relabel = [dict(rule) for rule in metric_relabel_configs]
        self._targets = directory / "targets.json"
        self._rules = directory / "rules.json"
        self._reloading: asyncio.Task[None] | None = None
        self._last: list[Target] = []
        self._port = free_port()
        self._begun = time.time()
        binary = find_prometheus()
        self.child = Child(
            "prometheus",
            [
                binary,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--storage.tsdb.retention.time={_RETENTION}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ],
            log=log,
            env={"GOMAXPROCS": "1", "GOMEMLIMIT": "192MiB", "HOME": str(directory), "PATH": os.defpath},
            on_exit=on_exit,
        )

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Writes the configuration and starts the server."""
        self._directory.mkdir(parents=True, exist_ok=True)
        write_atomically(self._directory / "prometheus.yml", json.dumps(self._configuration(), indent=2))
        self._write_targets([])
        write_atomically(self._rules, '{"groups": []}')
        self._begun = time.time()
        self.child.start()

    def scrape(self, targets: Iterable[Target]) -> None:
        """Scrapes these endpoints from now on and no others.

        Prometheus looks at changed targets every 5 s (``discovery/manager.go`` ``updatert`` and ``scrape/manager.go``
        ``reloader``): a new one is scraped up to 10 s later, one that was there 5 s after the start at once.
        """
        targets = sorted(targets, key=lambda target: target.address)
        if targets != self._last:
            self._write_targets(targets)

    def load_rules(self, text: str) -> None:
        """Evaluates these rules from now on and no others."""
        write_atomically(self._rules, text)
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload(), name="lab: reload of Prometheus")

    async def _reload(self) -> None:
        """Asks until it is answered: just after its start the server takes no requests, and a signal would kill it."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while self.child.alive:
                text = self._rules.read_text(encoding="utf-8")
                try:
                    answer = await client.post(f"{self.url}/-/reload")
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code != 200:
                    _LOG.error("Prometheus does not take its rules: %s", answer.text.strip())
                if text == self._rules.read_text(encoding="utf-8"):
                    return

    async def ready(self, client: httpx.AsyncClient) -> bool:
        """Whether it answers and has scraped every target once."""
        try:
            if (await client.get(f"{self.url}/-/ready")).status_code != 200:
                return False
            answer = await client.get(f"{self.url}/api/v1/query", params={"query": "up == 1"})
        except httpx.TransportError:
            return False
        seen = {series["metric"]["instance"] for series in answer.json()["data"]["result"]}
        return seen >= {target.address for target in self._last}

    async def missing(self, client: httpx.AsyncClient) -> list[str]:
        """Targets that could not be scraped, each with Prometheus' reason."""
        try:
            answer = await client.get(f"{self.url}/api/v1/targets", params={"state": "active"})
        except httpx.TransportError as error:
            return [f"Prometheus does not answer: {type(error).__name__}"]
        active = {one["labels"]["instance"]: one for one in answer.json()["data"]["activeTargets"]}
        return [
            f"{target.address} ({target.labels.get('pod', '?')}): "
            + (
                active[target.address]["lastError"] or "no scrape yet"
                if target.address in active
                else "not picked up yet"
            )
            for target in self._last
            if target.address not in active or active[target.address]["health"] != "up"
        ]

    def _write_targets(self, targets: list[Target]) -> None:
        self._last = targets
        groups = [{"targets": [target.address], "labels": dict(target.labels)} for target in targets]
        write_atomically(self._targets, json.dumps(groups, indent=1))

    def _configuration(self) -> dict[str, Any]:
        return {
            "global": {
                "scrape_interval": SCRAPE_INTERVAL,
                "scrape_timeout": _SCRAPE_TIMEOUT,
                "evaluation_interval": _EVALUATION_INTERVAL,
            },
            "rule_files": [str(self._rules)],
            "scrape_configs": [
                {
                    "job_name": "istio-proxies",
                    "metrics_path": "/stats/prometheus",
                    "honor_labels": False,
                    # Both change at run time; the job label of a target overrides the job's name.
                    "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "5s"}],
                    "metric_relabel_configs": self._relabel,
                }
            ],
        }


async def wait_until_ready(prometheus: Prometheus, *, deadline: float) -> None:
    """Returns when the server has scraped every target; raises ``LabError`` at the deadline (``loop.time()``)."""
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        while not await prometheus.ready(client):
            if not prometheus.child.alive:
                raise LabError(f"prometheus died: {prometheus.child.why()}")
            if loop.time() > deadline:
                raise LabError(f"Prometheus did not scrape in time: {'; '.join(await prometheus.missing(client))}")
            await asyncio.sleep(0.05)
