"""Each check on a mesh that is well, and on one in which just that is broken; in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chaos.doctor.finding import Level
from chaos.doctor.table import CHECKS
from chaos.errors import MeshError, MetricsError
from chaos.istio.metrics import INJECTED
from chaos.ports import Identity
from chaos.safety.lock import acquire
from chaos.values.held import Held
from chaos.values.questions import Rejections, Side
from tests.support.api_server import fault
from tests.unit.doctor.examined_mesh import Mesh

Break = Callable[[Mesh], object]


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def test_a_mesh_that_is_well_is_told_to_be(mesh: Mesh) -> None:
    mesh.count("order-svc", 1000)
    mesh.took(Side.CALLED, 90)
    mesh.took(Side.CALLERS, 85)
    found = mesh.looked()
    assert {one.check.id: one.findings for one in found.values() if one.level is not Level.OK} == {}
    quiet = {"subsets", "gateways", "latency", "reach", "freeze"}
    assert {name for name, one in found.items() if not one.findings} == quiet, "what is well by silence"


def denied(status: int) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        raise MeshError("not allowed", status=status)

    return call


def without_pods_of_root(mesh: Mesh) -> None:
    own = mesh.mesh.pods

    def pods(namespace: str) -> Any:
        return own(namespace) if namespace != "istio-system" else denied(403)()

    mesh.mesh.pods = pods  # type: ignore[method-assign]
    mesh.shop.metrics.samples = lambda *args, **options: []  # type: ignore[method-assign]


def no_istiod(mesh: Mesh) -> None:
    mesh.mesh.remove("Pod", "istio-system", "istiod-1")
    mesh.shop.metrics.samples = lambda *args, **options: []  # type: ignore[method-assign]


def quiet(mesh: Mesh) -> None:
    mesh.shop.metrics.held = lambda: Held(requests=False)  # type: ignore[method-assign]


def unscraped(mesh: Mesh) -> None:
    quiet(mesh)
    mesh.shop.metrics.samples = lambda *args, **options: []  # type: ignore[method-assign]


def no_prometheus(mesh: Mesh) -> None:
    def held() -> Any:
        raise MetricsError("no answer", hint="start it")

    mesh.shop.metrics.held = held  # type: ignore[method-assign]


def istiod(mesh: Mesh, **state: Any) -> None:
    status = [{"name": "discovery", "ready": True, "restartCount": 3, **state}]
    mesh.mesh.put(mesh.pod("istiod-1", app="istiod", namespace="istio-system", proxy=False, containerStatuses=status))


def ready(mesh: Mesh, **which: bool) -> None:
    status = [{"name": name.replace("_", "-"), "ready": one} for name, one in which.items()]
    mesh.mesh.put(mesh.pod("order-svc-1-a", app="order-svc", namespace="staging", containerStatuses=status))


def proxies_of(mesh: Mesh, version: str) -> None:
    pod: Any = mesh.pod("order-svc-1-a", app="order-svc", namespace="staging")
    pod["spec"]["containers"][1]["image"] = f"registry.example:5000/istio/proxyv2:{version}@sha256:abc"
    mesh.mesh.put(pod)


def stats(mesh: Mesh, text: str) -> None:
    mesh.mesh.proxy_stats["order-svc-1-a"] = text


def versions(mesh: Mesh, **which: str) -> None:
    mesh.identity = Identity(**{**vars(mesh.identity), **which})


def forbidden(mesh: Mesh) -> None:
    mesh.mesh.may = lambda verb, resource, **where: resource != "leases" and bool(where.get("namespace"))  # type: ignore[method-assign]


def wide(mesh: Mesh) -> None:
    mesh.mesh.may = lambda *args, **where: True  # type: ignore[method-assign]


def dead(mesh: Mesh) -> None:
    mesh.mesh.create_virtual_service(fault("abcdefgh"))


def subset(mesh: Mesh) -> None:
    mesh.put("DestinationRule", "x", host="order-svc", subsets=[{"name": "v2", "labels": {"version": "v2"}}])


def subset_in_use(mesh: Mesh) -> None:
    subset(mesh)
    route = {"destination": {"host": "order-svc", "subset": "v2"}}
    mesh.put("VirtualService", "x", hosts=["order-svc"], http=[{"route": [route]}])


CONNECTED = "cluster.xds-grpc.upstream_rq_active: 1\n"


@pytest.mark.parametrize(
    ("check", "level", "said", "break_it"),
    [
        ("control-plane", "error", "no istiod is found", no_istiod),
        ("control-plane", "warning", "killed because it ran out of memory (3 restarts)", lambda m: istiod(m, lastState={"terminated": {"reason": "OOMKilled"}})),
        ("control-plane", "error", "killed because it ran out of memory (3 restarts)", lambda m: istiod(m, ready=False, state={"terminated": {"reason": "OOMKilled"}})),
        ("control-plane", "error", "is not ready", lambda m: istiod(m, ready=False)),
        ("control-plane", "warning", "after 3 restarts", istiod),
        ("control-plane", "unknown", "can't be looked at", without_pods_of_root),
        ("versions", "error", "Kubernetes is v1.25.3", lambda m: versions(m, kubernetes="v1.25.3")),
        ("versions", "error", "Istio is 1.21.0", lambda m: versions(m, istio="1.21.0")),
        ("versions", "unknown", "Istio's version is not known", lambda m: versions(m, istio="")),
        ("versions", "warning", "1 proxies are 1.25", lambda m: proxies_of(m, "1.25.2")),
        ("versions", "warning", "1 proxies are 1.28", lambda m: proxies_of(m, "1.28.0")),
        ("injection", "error", "there is no namespace staging", lambda m: m.mesh.remove("Namespace", "", "staging")),
        ("injection", "warning", "pods in staging have no proxy: late", lambda m: m.mesh.put(m.pod("late", app="late", namespace="staging", proxy=False))),
        ("pods", "error", "order-svc-1-a is 1/2 Running: its proxy is not ready", lambda m: ready(m, app=True, istio_proxy=False)),
        ("pods", "error", "order-svc-1-a is 1/2 Running: app is not ready", lambda m: ready(m, app=False, istio_proxy=True)),
        ("sync", "error", "order-svc-1-a is not connected", lambda m: stats(m, "cluster.xds-grpc.upstream_rq_active: 0\n")),
        ("sync", "warning", "has rejected 3 configurations", lambda m: stats(m, f"{CONNECTED}cluster_manager.cds.update_rejected: 1\nlistener_manager.lds.update_rejected: 2\n")),
        ("sync", "warning", "rejected configurations in the last five minutes, as istiod counts them (102 of rds)", lambda m: m.add(Rejections(), 2, {"type": "rds"})),
        ("sync", "warning", "uses 600 MB", lambda m: stats(m, f"{CONNECTED}server.memory_allocated: 600000000\n")),
        ("sync", "unknown", "proxies can't be asked", lambda m: setattr(m.mesh, "answers_exec", False)),
        ("configuration", "error", "sends to the subset 'v9'", lambda m: m.put("VirtualService", "x", hosts=["order-svc"], http=[{"route": [{"destination": {"host": "order-svc", "subset": "v9"}}]}])),
        ("configuration", "error", "names the host 'oder-svc'", lambda m: m.put("VirtualService", "x", hosts=["oder-svc"], http=[{"route": [{"destination": {"host": "order-svc"}}]}])),
        ("pods", "error", "staging/new is Pending: none of its containers was started", lambda m: m.mesh.put(m.pod("new", app="new", namespace="staging", phase="Pending", containerStatuses=[]))),
        ("control-plane", "error", "istio-system/istiod-1 is not ready", lambda m: m.mesh.put(m.pod("istiod-1", app="istiod", namespace="istio-system", proxy=False, phase="Pending", containerStatuses=[]))),
        ("subsets", "error", "no pod of staging/order-svc has the labels of the subset 'v2'", subset_in_use),
        ("subsets", "warning", "the subset 'v2'", subset),
        ("gateways", "error", "is bound to the gateway 'shpo', which is not there", lambda m: m.put("VirtualService", "in", hosts=["shop.example"], gateways=["shpo"])),
        ("gateways", "error", "has the host 'other.example', and the gateway 'shop' serves only shop.example", lambda m: m.put("VirtualService", "in", hosts=["other.example"], gateways=["shop"])),
        ("mutual-tls", "error", "makes clients speak plaintext to staging/order-svc", lambda m: (m.put("PeerAuthentication", "default", mtls={"mode": "STRICT"}), m.put("DestinationRule", "x", host="order-svc", trafficPolicy={"tls": {"mode": "DISABLE"}}))),
        ("mutual-tls", "error", "makes clients speak plaintext", lambda m: (m.put("PeerAuthentication", "default", namespace="istio-system", mtls={"mode": "STRICT"}), m.put("DestinationRule", "x", host="order-svc", trafficPolicy={"tls": {"mode": "DISABLE"}}))),
        ("metrics", "error", "Prometheus does not answer", no_prometheus),
        ("metrics", "error", "Prometheus has no istio_requests_total at all", unscraped),
        ("metrics", "warning", "none has counted a request yet", quiet),
        ("metrics", "error", "has the label response_flags", lambda m: setattr(m.shop.metrics.storage, "without_labels", ("response_flags",))),
        ("errors", "error", "20 of 120 requests to staging/order-svc in the last five minutes were answered with 503 (flag UH)", lambda m: (m.count("order-svc", 100), m.count("order-svc", 20, "503", "UH"))),
        ("errors", "error", "answered with 403", lambda m: m.count("order-svc", 20, "403")),
        ("errors", "warning", "answered with 404", lambda m: m.count("order-svc", 20, "404")),
        ("errors", "error", "answered with 404 (flag NR)", lambda m: m.count("order-svc", 20, "404", "NR")),
        ("latency", "warning", "answers 90% of its requests within 10 ms, and its callers see 10%", lambda m: (m.took(Side.CALLED, 90), m.took(Side.CALLERS, 10))),
        ("rights", "error", "may not do this in staging: get leases", forbidden),
        ("reach", "warning", "in every namespace", wide),
        ("residue", "error", "a dead run has left this: staging/chaos-abcdefgh", dead),
        ("freeze", "warning", "staging is frozen: release", lambda m: m.mesh.annotate_namespace("staging", "chaos-harness.dev/frozen", "release")),
    ],
)  # fmt: skip
def test_what_is_broken_is_found_with_cause_and_hint(
    mesh: Mesh, check: str, level: str, said: str, break_it: Break
) -> None:
    before = mesh.looked()[check].level
    broken = Mesh()
    break_it(broken)
    found = broken.looked()[check]
    assert (before, found.level) == (Level.OK, level), found
    (told,) = (one for one in found.findings if said in one.message)
    assert told.hint
    assert told.cause or level == "unknown"


def test_the_lab_has_no_version_of_istio_and_one_user_who_may_do_everything(mesh: Mesh) -> None:
    versions(mesh, istio="")
    wide(mesh)
    found = mesh.looked(lab=True)
    assert (found["versions"].level, found["reach"].level) == (Level.OK, Level.OK)


def test_pods_that_are_being_removed_are_no_error(mesh: Mesh) -> None:
    """As during every rollout."""
    for namespace, app in (("staging", "order-svc"), ("istio-system", "istiod")):
        pod: Any = mesh.pod("old", app=app, namespace=namespace, containerStatuses=[{"name": "app", "ready": False}])
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        mesh.mesh.put(pod)
    found = mesh.looked()
    assert (found["pods"].level, found["control-plane"].level) == (Level.OK, Level.OK)


def test_a_name_for_the_mesh_beside_one_for_the_gateway_is_no_error(mesh: Mesh) -> None:
    mesh.put("VirtualService", "in", hosts=["shop.example", "order-svc"], gateways=["shop", "mesh"])
    assert mesh.looked()["gateways"].level is Level.OK


@pytest.mark.parametrize(
    ("written", "served", "hosts"),
    [
        ("./shop", ["shop.example"], ["shop.example"]),
        ("shop.staging.svc.cluster.local", ["shop.example"], ["shop.example"]),
        ("staging/shop", ["./shop.example"], ["shop.example"]),
        ("shop", ["*.staging.svc.cluster.local"], ["order-svc"]),
    ],
)
def test_gateways_and_hosts_are_read_as_istiod_reads_them(
    mesh: Mesh, written: str, served: list[str], hosts: list[str]
) -> None:
    mesh.put("Gateway", "shop", servers=[{"hosts": served}])
    mesh.put("VirtualService", "in", hosts=hosts, gateways=[written])
    assert mesh.looked()["gateways"].level is Level.OK


def test_the_mode_of_a_namespace_is_the_oldest_policys_as_istiod_takes_it(mesh: Mesh) -> None:
    mesh.put("PeerAuthentication", "old", selector={"matchLabels": {}}, mtls={"mode": "STRICT"})
    mesh.shop.clock.sleep(20)
    mesh.put("PeerAuthentication", "a-younger-one", mtls={"mode": "DISABLE"})
    (found,) = mesh.looked()["mutual-tls"].findings
    assert found.message.startswith("mutual TLS in staging is STRICT")


def test_faults_of_a_run_are_no_usual_error(mesh: Mesh) -> None:
    for flag in INJECTED:
        mesh.count("order-svc", 50, "503", flag)
    assert mesh.looked()["errors"].level is Level.OK


def test_a_run_that_is_active_is_told_and_well(mesh: Mesh) -> None:
    held = acquire(mesh.mesh, namespace="staging", service="inventory-svc", run="abcdefgh", experiment="e", owner=None)
    dead(mesh)
    found = mesh.looked()["residue"]
    held.release()
    assert (found.level, found.findings[0].message[:16]) == (Level.OK, "a run is active:")


def test_a_check_that_can_not_look_keeps_no_other_from_looking(mesh: Mesh) -> None:
    mesh.mesh.services = denied(500)  # type: ignore[method-assign]
    found = mesh.looked()
    assert found["subsets"].level is Level.UNKNOWN
    assert "it could not be checked: not allowed" in found["subsets"].findings[0].message
    assert found["pods"].level is Level.OK


def test_every_check_is_told_apart() -> None:
    assert len({one.id for one in CHECKS}) == len(CHECKS)
