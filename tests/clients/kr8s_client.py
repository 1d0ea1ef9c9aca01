"""The scenario with kr8s."""

from __future__ import annotations

import kr8s
from kr8s.objects import Deployment, Pod, new_class
from scenario import APPLICATION, CALLER, NAME, NAMESPACE, has_effect, refused, run, until, virtual_service

VirtualService = new_class("VirtualService", "networking.istio.io/v1", namespaced=True, plural="virtualservices")


def pods(app: str) -> list[Pod]:
    return list(kr8s.get("pods", namespace=NAMESPACE, label_selector={"app": app}))


def read() -> None:
    assert {NAMESPACE, "production"} <= {one.name for one in kr8s.get("namespaces")}
    assert [one.status.phase for one in pods(CALLER)] == ["Running"]


def create() -> None:
    VirtualService(virtual_service(503)).create()
    has_effect(503)


def patch() -> None:
    VirtualService.get(NAME, namespace=NAMESPACE).patch({"spec": virtual_service(418)["spec"]})
    has_effect(418)


def refuse() -> None:
    broken = virtual_service(700)
    broken["metadata"]["name"] = "broken"
    assert "700" in str(refused(VirtualService(broken).create, kr8s.ServerError))


def watch() -> None:
    seen = []
    for kind, one in kr8s.watch("virtualservices.networking.istio.io", namespace=NAMESPACE):
        if one.name != NAME:
            continue
        seen.append(kind)
        if seen == ["ADDED"]:
            VirtualService.get(NAME, namespace=NAMESPACE).label({"seen": "yes"})
        else:
            break
    assert seen == ["ADDED", "MODIFIED"], seen


def scale() -> None:
    deployment = Deployment.get(CALLER, namespace=NAMESPACE)
    for replicas in (2, 1):
        deployment.scale(replicas)
        deployment.refresh()
        until(lambda: deployment.refresh() is None and deployment.ready(), f"{replicas} replicas")
        until(lambda wanted=replicas: len(pods(CALLER)) == wanted, f"{replicas} pods")


def restart() -> None:
    (pod,) = pods(APPLICATION)
    pod.delete()
    until(lambda: [p.name != pod.name and p.ready() for p in pods(APPLICATION)] == [True], "a new pod is ready")


def execute() -> None:
    (pod,) = pods(APPLICATION)
    told = pod.exec(["pilot-agent", "request", "GET", "clusters"], container="istio-proxy")
    assert b"inbound|8080||" in told.stdout


def logs() -> None:
    (pod,) = pods(APPLICATION)
    assert "stand-in" in "".join(pod.logs(container="app"))


def delete() -> None:
    VirtualService.get(NAME, namespace=NAMESPACE).delete()
    has_effect(200)


run(
    [
        ("read", read), ("create", create), ("patch", patch), ("refuse", refuse),
        ("watch", watch), ("scale", scale), ("restart", restart), ("exec", execute), ("logs", logs), ("delete", delete),
    ]
)  # fmt: skip
