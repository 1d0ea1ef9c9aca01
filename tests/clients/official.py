"""The scenario with the official Python client."""

from __future__ import annotations

import kubernetes
from kubernetes.client.exceptions import ApiException
from scenario import APPLICATION, CALLER, NAME, NAMESPACE, has_effect, refused, run, until, virtual_service

kubernetes.config.load_kube_config()
core, apps, custom = kubernetes.client.CoreV1Api(), kubernetes.client.AppsV1Api(), kubernetes.client.CustomObjectsApi()
WHERE = ("networking.istio.io", "v1", NAMESPACE, "virtualservices")


def read() -> None:
    first = core.list_namespace(limit=2)
    rest = core.list_namespace(limit=100, _continue=first.metadata._continue)
    assert {NAMESPACE, "production"} <= {one.metadata.name for one in (*first.items, *rest.items)}
    pods = core.list_namespaced_pod(
        NAMESPACE, label_selector=f"app={CALLER}", field_selector="status.phase=Running"
    ).items
    assert len(pods) == 1


def create() -> None:
    custom.create_namespaced_custom_object(*WHERE, virtual_service(503))
    has_effect(503)


def patch() -> None:
    custom.patch_namespaced_custom_object(*WHERE, NAME, {"spec": virtual_service(418)["spec"]})
    has_effect(418)


def conflict() -> None:
    live = custom.get_namespaced_custom_object(*WHERE, NAME)
    custom.replace_namespaced_custom_object(
        *WHERE, NAME, {**live, "metadata": {**live["metadata"], "labels": {"a": "b"}}}
    )
    error = refused(lambda: custom.replace_namespaced_custom_object(*WHERE, NAME, live), ApiException)
    assert getattr(error, "status", None) == 409


def refuse() -> None:
    broken = virtual_service(503)
    broken["metadata"]["name"] = "broken"
    broken["spec"]["http"][0]["fault"]["abort"]["httpStatus"] = 700
    error = refused(lambda: custom.create_namespaced_custom_object(*WHERE, broken), ApiException)
    assert "700" in str(error)


def watch() -> None:
    stream, seen = kubernetes.watch.Watch(), []
    for event in stream.stream(custom.list_namespaced_custom_object, *WHERE, timeout_seconds=10):
        if event["object"]["metadata"]["name"] != NAME:
            continue
        seen.append(event["type"])
        if seen == ["ADDED"]:
            custom.patch_namespaced_custom_object(*WHERE, NAME, {"metadata": {"labels": {"seen": "yes"}}})
        else:
            stream.stop()
    assert seen == ["ADDED", "MODIFIED"], seen


def scale() -> None:
    for replicas in (2, 1):
        apps.patch_namespaced_deployment_scale(CALLER, NAMESPACE, {"spec": {"replicas": replicas}})
        until(lambda wanted=replicas: (lambda s: s.ready_replicas == s.replicas == wanted)(
            apps.read_namespaced_deployment_status(CALLER, NAMESPACE).status), f"{replicas} replicas")  # fmt: skip


def restart() -> None:
    selector = f"app={APPLICATION}"
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=selector).items
    core.delete_namespaced_pod(pod.metadata.name, NAMESPACE)

    def again() -> bool:
        pods = core.list_namespaced_pod(NAMESPACE, label_selector=selector).items
        ready = [p for p in pods if any(c.type == "Ready" and c.status == "True" for c in p.status.conditions or ())]
        return [p.metadata.name != pod.metadata.name for p in ready] == [True]

    until(again, "a new pod is ready")


def execute() -> None:
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=f"app={APPLICATION}").items
    told = kubernetes.stream.stream(
        core.connect_get_namespaced_pod_exec, pod.metadata.name, NAMESPACE, container="istio-proxy",
        command=["pilot-agent", "request", "GET", "clusters"], stderr=True, stdin=False, stdout=True, tty=False,
    )  # fmt: skip
    assert "inbound|8080||" in told


def logs() -> None:
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=f"app={APPLICATION}").items
    assert "stand-in" in core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, container="app")


def delete() -> None:
    custom.delete_namespaced_custom_object(*WHERE, NAME)
    has_effect(200)


run(
    [
        ("read", read), ("create", create), ("patch", patch), ("conflict", conflict), ("refuse", refuse),
        ("watch", watch), ("scale", scale), ("restart", restart), ("exec", execute), ("logs", logs), ("delete", delete),
    ]
)  # fmt: skip
