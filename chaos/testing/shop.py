"""A shop in memory: a place for whole runs in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final, TypedDict, Unpack

from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.harness.harness import Harness
from chaos.harness.means import Means
from chaos.model.settings import Settings
from chaos.testing.clock import VirtualClock
from chaos.testing.instruments import ShopLoad, ShopMetrics, ShopProbe
from chaos.testing.mesh import MemoryMesh
from chaos.testing.shares import Shares
from chaos.testing.traffic import (
    ENTRY,
    NAMESPACE,
    OTHERS,
    SECOND,
    TARGET,
    Times,
    Traffic,
    pods_of,
)

_ENTRY_URL: Final = "http://shop.memory"


class Behaviour(TypedDict, total=False):
    """How a shop behaves; see ``Shop``."""

    bears: float
    heals: float
    broken: float
    bears_at: Mapping[str, float]
    degrades: float
    degraded: float
    mixes: float
    sticks: float
    kept: float
    asks: float
    pays: float
    tries: int
    retries: int
    spoilt: float
    lingers: float
    spoils: Mapping[str, float]
    ejected: Times
    breaker: Times
    sheds: float
    others: float
    stuck: float
    status: int
    target_status: str
    spreads: float
    skipped: float
    unfilled: float
    alerts: Mapping[str, Times]
    waits: float
    leaks: float
    spared: float
    fails_as: int
    fails_as_grpc: str
    takes: float
    tail: tuple[float, float]
    queues: float
    patience: float
    pushes: float
    converges: float
    cpus: float
    memory: float
    scrape_interval: float
    time_out: float


class Shop:
    """``order-svc``, which takes orders, ``inventory-svc``, which each order asks, and ``payment-svc``, which each order calls too.

    All are in the namespace ``staging``.

    What it does with a fault is said here or at any moment of a run, by the attributes of ``traffic`` of these names:

    Args:
        bears: Share of the orders that succeed although one of their calls was aborted.
        bears_at: The same by the names of the load's requests, in place of ``bears``.
        heals: Seconds for which as many orders fail after a fault as it had aborted calls.
        broken: Share of the orders that fail in any case.
        degrades: Share of the orders that succeed after an aborted call and whose answer says so (``x-stock: unknown``, ``"degraded": true``).
        degraded: Share of all other orders whose answer says so too.
        mixes: Share of those that succeed after an aborted call and whose answer holds somebody else's order (``"order": {"id": "7"}``).
        sticks: Seconds for which as many answers are degraded, or somebody else's, after a fault as there were during it.
        kept: Share of the arrivals that the load generator manages to send.
        asks: How often an order calls ``inventory-svc``.
        pays: How often an order calls ``payment-svc``.
        tries: How often ``order-svc`` tries each of these calls while they are aborted, the first time included.
        time_out: Seconds for which ``order-svc`` waits for a call; then it answers without it.
        retries: How often the gateway's proxy sends an order again that failed; beyond that, Envoy's flag is ``URX``.
        replicas: Replicas of ``order-svc``.
        spoilt: Share of the orders at the last replica that fail while there is a fault.
        lingers: Seconds after a fault for which the last replica, the other services and stuck orders suffer as during it.
        spoils: By the name of a Service to which routes send orders: the share of them that fails there.
        ejected: When the last replica gets no orders, by the fault.
        breaker: When the gateway's proxy refuses orders because its connection pool is full (``UO``), by the fault.
        sheds: Share of the orders that it then refuses.
        others: Orders per second that somebody else sends, each of which calls ``inventory-svc`` and succeeds.
        stuck: Share of the orders that are never answered while there is a fault.
        status: Of the orders that do not fail.
        target_status: Of the calls of ``inventory-svc`` that are not aborted.
        spreads: Share of the answers of ``catalog-svc``, and of ``session-svc`` in ``platform``, that fail while there is a fault.
        skipped: Share of the calls of these two that are not made while there is a fault.
        unfilled: Share of them that are not made any more after a fault, as from a pool that does not refill.
        alerts: The alert rules by their names, and when each fires, by the fault; by default ``OrdersDegraded`` with the fault,
            and ``ShopDown`` never.
        waits: Seconds for which the condition of an alert has to be true before it fires, by its rule (``for``).
        leaks: Calls of ``inventory-svc`` per second that ``report-svc`` sends, and that feel the fault too, whatever it declares.
        spared: Calls of ``inventory-svc`` per second that ``report-svc`` sends, and that no fault hits.
        fails_as: Status of the orders that fail.
        fails_as_grpc: Their gRPC status, such as ``"14"``, where orders are asked for by gRPC.
        takes: Milliseconds that an answer takes where nothing is delayed.
        tail: Share of the answers that take another time, and the milliseconds of these.
        queues: Milliseconds that the load waits before the gateway has a request.
        patience: Milliseconds after which the gateway gives an order up (504, ``UT``).
        pushes: Configurations per second that istiod sends to proxies; three more come with each change of a VirtualService.
        converges: Seconds from a change until istiod has sent it to a proxy.
        cpus: CPUs that istiod uses.
        memory: Bytes that the proxy of ``payment-svc`` has allocated; those of the others have half of it.
        scrape_interval: Whole seconds between two samples of the metrics.
        grpc: Whether ``inventory-svc`` speaks gRPC.
        seed: Each order's fate is drawn by chance from this seed; without one, the shares are kept evenly.

    ``Traffic`` has further ones.
    """

    def __init__(
        self, *, replicas: int = 1, grpc: bool = False, seed: int | None = None, **behaviour: Unpack[Behaviour]
    ) -> None:
        self.clock = VirtualClock()
        self.mesh = MemoryMesh(self.clock, _manifests(replicas, "grpc" if grpc else "http"))
        self.traffic = Traffic(self.clock, self.mesh)
        self.traffic.replicas = replicas
        self.traffic.target_status = "gRPC 0" if grpc else "200"
        if seed is not None:
            self.traffic.shares = Shares(Random(seed))  # noqa: S311 - a simulation
        for name, value in behaviour.items():
            setattr(self.traffic, name, value)
        self.metrics = ShopMetrics(self.clock, self.traffic)
        self.load = ShopLoad(self.traffic)
        self.probe = ShopProbe()
        self.lab = False
        """Whether it counts as the embedded lab, which shares a machine with the load generator."""

    def stall(self, seconds: float) -> None:
        """The machine stands still: no request is sent, nothing is scraped, and the run itself goes on only afterwards."""
        self.traffic.catch_up()
        self.traffic.arrivals.stall(self.clock.now(), seconds)
        self.clock.sleep(seconds)

    def harness(self, **means: Unpack[Means]) -> Harness:
        """A harness at this shop, which takes what ``Harness`` takes, by default without reports; runs last milliseconds."""
        settings = Settings(namespaces=(NAMESPACE,))
        place = Place.of(self.mesh, self.metrics, settings, entry=_ENTRY_URL, lab=self.lab)
        means.setdefault("load", lambda: self.load)
        means.setdefault("probe", lambda: self.probe)
        means.setdefault("watchdog", lambda _plan, _folder: NoWatch())
        means.setdefault("clock", self.clock)
        means.setdefault("listeners", ())
        return Harness(place, **means)


def _manifests(replicas: int, protocol: str) -> Sequence[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"env": "staging"}}}
    ]
    here = [(name, 1) for name, home in OTHERS if home == NAMESPACE]
    found += [_service(name, home) for name, home in OTHERS if home != NAMESPACE]
    for name, number in ((ENTRY, replicas), (TARGET, 1), (SECOND, 1), *here):
        found.append(_service(name, NAMESPACE, protocol if name == TARGET else "http"))
        owner = {"kind": "ReplicaSet", "name": f"{name}-1", "uid": "-", "controller": True}
        for one in pods_of(name, number):
            pod = {
                "name": one, "generateName": f"{name}-1-", "namespace": NAMESPACE, "ownerReferences": [owner],
                "labels": {"app": name, "pod-template-hash": "1"},
            }  # fmt: skip
            found.append({
                "apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": {"containers": [{"name": "istio-proxy"}]}
            })  # fmt: skip
    return found


def _service(name: str, namespace: str, protocol: str = "http") -> Mapping[str, Any]:
    meta = {"name": name, "namespace": namespace, "labels": {"app": name}}
    spec = {"ports": [{"name": protocol, "port": 8080}], "selector": {"app": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
