"""A mesh in memory for the doctor to look at: well, until a test breaks it."""

from __future__ import annotations

from typing import Any

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Checked
from chaos.doctor.table import examine
from chaos.model.settings import Settings
from chaos.ports import Identity, Object
from chaos.testing.mesh import MemoryMesh
from chaos.testing.shop import Shop
from chaos.values.questions import Durations, Question, Requests, Side
from chaos.values.series import Series


class Mesh:
    """The shop in memory with istiod, a label of injection, ready pods, and some requests."""

    def __init__(self) -> None:
        self.shop = Shop(others=5.0)
        self.mesh: MemoryMesh = self.shop.mesh
        self.identity = Identity(context="memory", server="memory:", uid="u", kubernetes="v1.34.0", istio="1.27.1")
        self.series: dict[Question, list[Series]] = {}
        labels = {"env": "staging", "istio-injection": "enabled"}
        self.mesh.put({"kind": "Namespace", "metadata": {"name": "staging", "labels": labels}})
        self.mesh.put(self.pod("istiod-1", app="istiod", namespace="istio-system", proxy=False))
        for pod in self.mesh.pods("staging"):
            name, app = pod["metadata"]["name"], pod["metadata"]["labels"]["app"]
            self.mesh.put(self.pod(name, app=app, namespace="staging"))
        self.put(
            "DestinationRule", "order-svc", host="order-svc", subsets=[{"name": "v1", "labels": {"version": "v1"}}]
        )
        self.put(
            "VirtualService",
            "order-svc",
            hosts=["order-svc"],
            http=[{"route": [{"destination": {"host": "order-svc", "subset": "v1"}}]}],
        )
        self.put("Gateway", "shop", servers=[{"hosts": ["shop.example"]}])
        self.shop.clock.sleep(20)

    def pod(self, name: str, *, app: str, namespace: str, proxy: bool = True, **status: Any) -> Object:
        containers = [{"name": "app"}, *([{"name": "istio-proxy", "image": "proxyv2:1.27.1"}] if proxy else [])]
        ready = [{"name": one["name"], "ready": True, "restartCount": 0} for one in containers]
        meta = {"name": name, "namespace": namespace, "labels": {"app": app, "version": "v1"}}
        return {
            "kind": "Pod", "metadata": meta, "spec": {"containers": containers},
            "status": {"phase": "Running", "containerStatuses": ready, **status},
        }  # fmt: skip

    def put(self, kind: str, name: str, *, namespace: str = "staging", **spec: Any) -> None:
        group = "security" if kind == "PeerAuthentication" else "networking"
        meta = {"name": name, "namespace": namespace}
        self.mesh.put({"apiVersion": f"{group}.istio.io/v1", "kind": kind, "metadata": meta, "spec": spec})

    def count(self, service: str, number: float, status: str = "200", flags: str = "-") -> None:
        """Requests to a service in the last minutes."""
        host = f"{service}.staging.svc.cluster.local"
        labels = {"response_code": status, "response_flags": flags}
        self.add(Requests(host=host), number, labels)

    def add(self, question: Question, number: float, labels: dict[str, str]) -> None:
        now = self.shop.clock.now()
        samples = ((now - 60, 100.0), (now - 1, 100.0 + number))
        self.series.setdefault(question, []).append(Series(labels=labels, samples=samples))

    def took(self, side: Side, quick: float) -> None:
        """A hundred answers, some of them within 10 ms."""
        host = "order-svc.staging.svc.cluster.local"
        self.add(Durations(host=host, side=side), 100, {})
        self.add(Durations(host=host, within=10.0, side=side), quick, {})

    def looked(self, *, lab: bool = False) -> dict[str, Checked]:
        self.mesh.identity = lambda: self.identity  # type: ignore[method-assign]
        own = self.shop.metrics.samples

        def samples(question: Question, **options: Any) -> Any:
            return self.series.get(question) or own(question, **options)

        self.shop.metrics.samples = samples  # type: ignore[method-assign]
        settings = Settings(namespaces=("staging",))
        examined = Examined(self.mesh, self.shop.metrics, settings, ("staging",), lab=lab, sleep=self.shop.clock.sleep)
        return {one.check.id: one for one in examine(examined)}
