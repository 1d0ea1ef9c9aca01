"""A shop in memory: a place for whole runs in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Unpack

from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.harness.harness import Harness, Means
from chaos.model.settings import Settings
from chaos.testing.clock import VirtualClock
from chaos.testing.mesh import MemoryMesh
from chaos.testing.traffic import ENTRY, NAMESPACE, TARGET, ShopLoad, ShopMetrics, Traffic

_ENTRY_URL: Final = "http://shop.memory"


class Shop:
    """``order-svc``, which takes orders, and ``inventory-svc``, which each order asks, in the namespace ``staging``.

    What it does with a fault is said here or at any moment of a run, by these attributes of ``traffic``:

    Args:
        bears: Share of the orders that succeed although their call of ``inventory-svc`` was aborted.
        heals: Seconds for which as many orders fail after a fault as it had aborted calls.
        broken: Share of the orders that fail in any case.
        kept: Share of the arrivals that the load generator manages to send.
        scrape_interval: Whole seconds between two samples of the metrics.

    ``Traffic`` has further ones.
    """

    def __init__(
        self,
        *,
        bears: float = 1.0,
        heals: float = 0.0,
        broken: float = 0.0,
        kept: float = 1.0,
        scrape_interval: float = 1.0,
    ) -> None:
        self.clock = VirtualClock()
        self.mesh = MemoryMesh(self.clock, _manifests())
        self.traffic = Traffic(self.clock, self.mesh)
        self.traffic.bears, self.traffic.heals, self.traffic.broken, self.traffic.kept = bears, heals, broken, kept
        self.traffic.scrape_interval = scrape_interval
        self.metrics = ShopMetrics(self.clock, self.traffic)
        self.load = ShopLoad(self.traffic)

    def harness(self, **means: Unpack[Means]) -> Harness:
        """A harness at this shop, which takes what ``Harness`` takes, by default without reports; runs last milliseconds."""
        place = Place.of(self.mesh, self.metrics, Settings(namespaces=(NAMESPACE,)), entry=_ENTRY_URL)
        means.setdefault("load", lambda: self.load)
        means.setdefault("watchdog", lambda _plan, _folder: NoWatch())
        means.setdefault("clock", self.clock)
        means.setdefault("listeners", ())
        return Harness(place, **means)


def _manifests() -> Sequence[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"env": "staging"}}}
    ]
    for name in (ENTRY, TARGET):
        meta = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
        replicas = {"kind": "ReplicaSet", "name": f"{name}-1", "uid": "-", "controller": True}
        pod = {
            "name": f"{name}-1-a", "generateName": f"{name}-1-", "namespace": NAMESPACE, "ownerReferences": [replicas],
            "labels": {"app": name, "pod-template-hash": "1"},
        }  # fmt: skip
        found += [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"ports": [{"name": "http", "port": 8080}]},
            },
            {"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": {"containers": [{"name": "istio-proxy"}]}},
        ]
    return found
