"""StatefulSets, DaemonSets and ReplicaSets into Pods, on the lab's real store."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.workloads import workload_name
from chaos.lab.api.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from chaos.lab.api.store import Store
from chaos.lab.controller import Controller
from tests.unit.lab.workloads import deployment, run, settled


def owner(*, replicas: int | None = None, image: str = "one", **spec: Any) -> dict[str, Any]:
    made = deployment(image=image)
    del made["spec"]["replicas"]
    return {**made, "spec": {**made["spec"], **({} if replicas is None else {"replicas": replicas}), **spec}}


def test_pods_of_a_stateful_set_come_one_after_the_other_and_keep_their_names() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(STATEFUL_SETS, owner(replicas=3, serviceName="a"))
        assert settled(store, controller, ready=False) == ["a-0"]
        assert settled(store, controller) == ["a-0", "a-1", "a-2"]
        pod = store.get(PODS, "staging", "a-1")
        assert workload_name(pod) == "a"
        assert pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "a-1"
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("a-1", "a")
        assert len(pod["spec"]["containers"]) == 2, "injected"
        status = store.get(STATEFUL_SETS, "staging", "a")["status"]
        assert (status["readyReplicas"], status["updatedReplicas"]) == (3, 3)
        assert status["currentRevision"] == status["updateRevision"]

        before = pod["metadata"]["uid"]
        store.delete(PODS, "staging", "a-1")
        assert settled(store, controller) == ["a-0", "a-1", "a-2"]
        assert store.get(PODS, "staging", "a-1")["metadata"]["uid"] != before

        scaled = store.get(STATEFUL_SETS, "staging", "a")
        store.replace(STATEFUL_SETS, "staging", "a", {**scaled, "spec": {**scaled["spec"], "replicas": 1}})
        assert settled(store, controller) == ["a-0"]
        store.delete(STATEFUL_SETS, "staging", "a")
        assert settled(store, controller) == []

    run(work)


def uids(store: Store) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in store.list(PODS, "staging")}


@pytest.mark.parametrize(
    ("strategy", "replaced"),
    [
        ({}, {"a-0", "a-1", "a-2"}),
        ({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}, {"a-2"}),
        ({"updateStrategy": {"type": "OnDelete"}}, set()),
    ],
)
def test_a_new_template_is_rolled_out_from_the_last_pod(strategy: dict[str, Any], replaced: set[str]) -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(STATEFUL_SETS, owner(replicas=3, podManagementPolicy="Parallel", **strategy))
        assert settled(store, controller, ready=False) == ["a-0", "a-1", "a-2"], "all at once"
        settled(store, controller)
        before = uids(store)
        store.replace(
            STATEFUL_SETS, "staging", "a",
            owner(replicas=3, image="two", podManagementPolicy="Parallel", **strategy),
        )  # fmt: skip
        settled(store, controller, ready=False)
        gone = {name for name, uid in uids(store).items() if uid != before[name]}
        assert gone == (replaced & {"a-2"}), "the next one waits for it"
        settled(store, controller)
        assert {name for name, uid in uids(store).items() if uid != before[name]} == replaced
        status = store.get(STATEFUL_SETS, "staging", "a")["status"]
        assert (status["currentRevision"] == status["updateRevision"]) is (len(replaced) == 3)

    run(work)


def test_a_stateful_set_may_count_from_another_number() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(STATEFUL_SETS, owner(replicas=2, ordinals={"start": 5}))
        assert settled(store, controller) == ["a-5", "a-6"]

    run(work)


@pytest.mark.parametrize("manual", [False, True])
def test_a_daemon_set_has_one_pod(manual: bool) -> None:
    def work(store: Store, controller: Controller) -> None:
        strategy: dict[str, Any] = {"updateStrategy": {"type": "OnDelete"}} if manual else {}
        store.create(DAEMON_SETS, owner(**strategy))
        (before,) = settled(store, controller)
        assert workload_name(store.get(PODS, "staging", before)) == "a"
        store.replace(DAEMON_SETS, "staging", "a", owner(image="two", **strategy))
        (after,) = settled(store, controller)
        assert (after == before) is manual
        status = store.get(DAEMON_SETS, "staging", "a")["status"]
        assert (status["numberReady"], status["updatedNumberScheduled"]) == (1, 0 if manual else 1)
        store.delete(PODS, "staging", after)
        (again,) = settled(store, controller)
        assert store.get(PODS, "staging", again)["spec"]["containers"][0]["image"] == "two"

    run(work)


def test_a_replica_set_makes_pods_unless_a_deployment_does() -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(REPLICA_SETS, owner(replicas=2))
        own = settled(store, controller)
        assert len(own) == 2
        assert {workload_name(store.get(PODS, "staging", name)) for name in own} == {"a"}
        other = deployment("b", replicas=2)
        store.create(DEPLOYMENTS, other)
        assert len(settled(store, controller)) == 4
        assert store.get(REPLICA_SETS, "staging", "a")["status"]["readyReplicas"] == 2
        store.delete(PODS, "staging", own[0])
        assert len(settled(store, controller)) == 4

    run(work)


@pytest.mark.parametrize("resource", [STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS])
def test_nothing_is_written_when_nothing_changes(resource: Resource) -> None:
    def work(store: Store, controller: Controller) -> None:
        store.create(resource, owner())
        settled(store, controller)
        version = store.version
        for obj in (*store.list(resource), *store.list(PODS)):
            if obj["kind"] != "Pod":
                controller._mark(obj)
        controller.settle()
        assert store.version == version

    run(work)
