"""A shop in memory: a place for whole runs in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Unpack

from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.errors import LoadError, MetricsError
from chaos.harness.harness import Harness, Means
from chaos.model.experiment import Load as LoadSpec
from chaos.model.settings import Settings
from chaos.testing.clock import VirtualClock
from chaos.testing.mesh import MemoryMesh
from chaos.testing.traffic import ENTRY, NAMESPACE, TARGET, Traffic
from chaos.values.load import LoadSecond
from chaos.values.questions import Comparison, Question
from chaos.values.series import Series

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
        """A harness at this shop, which takes what ``Harness`` takes; runs last milliseconds."""
        place = Place.of(self.mesh, self.metrics, Settings(namespaces=(NAMESPACE,)), entry=_ENTRY_URL)
        means.setdefault("load", lambda: self.load)
        means.setdefault("watchdog", lambda _plan, _folder: NoWatch())
        means.setdefault("clock", self.clock)
        return Harness(place, **means)


class ShopMetrics:
    """The ``Metrics`` port over the shop's traffic."""

    def __init__(self, clock: VirtualClock, traffic: Traffic) -> None:
        self._clock = clock
        self._traffic = traffic
        self.lost = ""
        """Why they do not answer; nothing while they do."""
        self.untrue: set[str] = set()
        """Comparisons that have no result; all others have."""

    def now(self) -> float:
        """The shop's clock."""
        self._answer()
        return self._clock.now()

    def version(self) -> str:
        """None."""
        return ""

    def scrape_interval(self) -> float:
        """The shop's."""
        return self._traffic.scrape_interval

    def samples(self, question: Question, *, seconds: float) -> Sequence[Series]:
        """Raw samples of the last seconds."""
        self._answer()
        if isinstance(question, Comparison):
            holds = float(question.promql not in self.untrue)
            return [Series(labels={}, samples=((self._clock.now(), holds),))]
        return self._traffic.series(question, seconds=seconds)

    def wording(self, question: Question) -> str:
        """The question in words."""
        return str(question)

    def _answer(self) -> None:
        self._traffic.catch_up()
        if self.lost:
            raise MetricsError(self.lost)


class ShopLoad:
    """The ``Load`` port: orders at the declared rate."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._rate = 0.0
        self.died = ""
        """Why it is not running; nothing while it is well."""

    def prepare(self, spec: LoadSpec, *, entry: str, headers: Mapping[str, str], base: Path) -> None:  # noqa: ARG002
        """Takes note of the rate; ``LoadError`` where it has died."""
        if self.died:
            raise LoadError(self.died)
        self._rate = spec.rate

    def start(self) -> None:
        """Orders from now on."""
        self._traffic.catch_up()
        self._traffic.rate = self._rate

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call."""
        self._traffic.catch_up()
        found, self._traffic.seconds = tuple(self._traffic.seconds), []
        return found

    def failure(self) -> str | None:
        """Why it is no longer running; ``None`` while it is well."""
        return self.died or None

    def stop(self) -> None:
        """Orders no more."""
        self._traffic.catch_up()
        self._traffic.rate = 0.0


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
