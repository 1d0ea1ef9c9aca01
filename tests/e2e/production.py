"""The lab's production shop under a small load, and whether any fault was ever counted there."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from chaos.lab.istio.proxy import STATS_PORT
from chaos.lab.state import LabState
from tests.e2e.experiments import query
from tests.support import loopback

NAMESPACE = "production"
RATE = 2.0
"""Requests per second."""
_FAULTED = 'response_flags=~"(.*,)?(FI|DI)(,.*)?"'
_PLACES = ("namespace", "source_workload_namespace", "destination_service_namespace", "destination_workload_namespace")


class Production:
    """Sends requests to the production shop until it is stopped.

    Args:
        lab: A lab with the shop.
    """

    def __init__(self, lab: LabState) -> None:
        self._lab = lab
        self._stopped = threading.Event()
        self.answers = 0
        self._thread = threading.Thread(target=self._send, name="load of production", daemon=True)
        self._thread.start()

    def _send(self) -> None:
        with loopback.Client(base_url=self._lab.entries[NAMESPACE], timeout=5) as client:
            number = 0
            while not self._stopped.wait(1 / RATE):
                number += 1
                try:
                    client.get(f"/orders/{number}")
                except httpx.TransportError:
                    continue  # a test took something away
                self.answers += 1

    def stop(self) -> None:
        """Sends nothing any more."""
        self._stopped.set()
        self._thread.join()

    def faulted(self) -> list[dict[str, Any]]:
        """Every series of a fault that was ever scraped, in whose labels production is."""
        parts = [f'max_over_time(istio_requests_total{{{place}="{NAMESPACE}",{_FAULTED}}}[1d])' for place in _PLACES]
        return [dict(one["metric"]) for one in query(self._lab, " or ".join(parts))]

    def faulted_now(self) -> list[str]:
        """The same, by the counters that the proxies of production have at this moment."""
        found = []
        pods = loopback.get(f"{self._lab.api}/api/v1/namespaces/{NAMESPACE}/pods").json()["items"]
        assert pods, "there is no production shop"
        for pod in pods:
            address = f"http://{pod['status']['podIP']}:{STATS_PORT}/stats/prometheus"
            lines = loopback.get(address).text.splitlines()
            counters = [line for line in lines if "istio_requests_total{" in line]
            found += [
                line for line in counters if any(f'{flag}"' in line or f"{flag}," in line for flag in ("FI", "DI"))
            ]
        return found

    def counted(self) -> float:
        """Requests that workloads of production got."""
        found = query(self._lab, f'sum(istio_requests_total{{reporter="destination",namespace="{NAMESPACE}"}})')
        return float(found[0]["value"][1]) if found else 0.0
