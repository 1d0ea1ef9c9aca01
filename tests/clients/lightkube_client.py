"""The scenario with lightkube."""

from __future__ import annotations

from lightkube import ApiError, Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Namespace, Pod
from lightkube.types import PatchType
from scenario import APPLICATION, CALLER, NAME, NAMESPACE, has_effect, refused, run, until, virtual_service

VirtualService = create_namespaced_resource("networking.istio.io", "v1", "VirtualService", "virtualservices")
client = Client(namespace=NAMESPACE, field_manager="lightkube")


def pods(app: str) -> list[Pod]:
    return list(client.list(Pod, labels={"app": app}))


def ready(pod: Pod) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())


def read() -> None:
    assert {NAMESPACE, "production"} <= {one.metadata.name for one in client.list(Namespace, chunk_size=2)}
    assert [one.status.phase for one in pods(CALLER)] == ["Running"]


def create() -> None:
    client.create(VirtualService(virtual_service(503)))
    has_effect(503)


def patch() -> None:
    client.patch(VirtualService, NAME, {"spec": virtual_service(418)["spec"]}, patch_type=PatchType.MERGE)
    has_effect(418)


def apply() -> None:
    wanted = virtual_service(429)
    error = refused(lambda: client.apply(VirtualService(wanted), field_manager="another"), ApiError)
    assert isinstance(error, ApiError)
    assert error.status.code == 409
    client.apply(VirtualService(wanted), field_manager="another", force=True)
    has_effect(429)


def refuse() -> None:
    broken = virtual_service(700)
    broken["metadata"]["name"] = "broken"
    assert "700" in str(refused(lambda: client.create(VirtualService(broken)), ApiError))


def watch() -> None:
    seen = []
    for kind, one in client.watch(VirtualService, fields={"metadata.name": NAME}):
        seen.append(kind)
        if seen == ["ADDED"]:
            client.patch(VirtualService, NAME, {"metadata": {"labels": {"seen": "yes"}}}, patch_type=PatchType.MERGE)
        elif one.metadata.labels:
            break
    assert seen == ["ADDED", "MODIFIED"], seen


def scale() -> None:
    for replicas in (2, 1):
        scale = Deployment.Scale(
            metadata=ObjectMeta(name=CALLER, namespace=NAMESPACE), spec=ScaleSpec(replicas=replicas)
        )
        client.replace(scale)
        client.wait(Deployment, CALLER, for_conditions=["Available"])
        until(lambda wanted=replicas: [ready(one) for one in pods(CALLER)] == [True] * wanted, f"{replicas} pods")


def restart() -> None:
    (pod,) = pods(APPLICATION)
    client.delete(Pod, pod.metadata.name)
    until(
        lambda: [one.metadata.name != pod.metadata.name and ready(one) for one in pods(APPLICATION)] == [True],
        "a new pod is ready",
    )


def logs() -> None:
    (pod,) = pods(APPLICATION)
    assert "stand-in" in "".join(client.log(pod.metadata.name, container="app"))


def delete() -> None:
    client.delete(VirtualService, NAME)
    has_effect(200)


run(
    [
        ("read", read), ("create", create), ("patch", patch), ("server-side apply", apply), ("refuse", refuse),
        ("watch", watch), ("scale", scale), ("restart", restart), ("logs", logs), ("delete", delete),
    ]
)  # fmt: skip
