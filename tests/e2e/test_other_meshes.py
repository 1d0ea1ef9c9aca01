"""Runs on meshes that are set up otherwise than the demo shop's: what others have in their clusters."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos import Abort, Expectation, Experiment, Harness, Load, Outcome, Request, Settings, Shift, Target
from chaos.lab.state import LabState
from chaos.lab.workloads.behaviour import ANNOTATION as BEHAVIOUR
from chaos.manifests.admission import admission
from chaos.model.marks import FROZEN
from chaos.model.settings import LAB
from chaos.model.shift import ShiftStep
from tests.e2e.callers import Connection, sidecar
from tests.e2e.experiments import (
    ALLOWED,
    chaosctl,
    configured,
    marked,
    on,
    query,
    quick,
    record_in,
    spec_of_everything,
)
from tests.e2e.kinds import whole
from tests.support import loopback
from tests.support.labs import own_lab
from tests.support.scope import survive_only
from tests.support.waiting import until

pytestmark = pytest.mark.lab
DOOR_LABELS = {
    "gateway.networking.k8s.io/gateway-name": "door", "gateway.networking.k8s.io/gateway-class-name": "istio",
    "gateway.istio.io/managed": "istio.io-gateway-controller", "sidecar.istio.io/inject": "false",
}  # fmt: skip
DOOR_PORT = 8088


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    """One of its own: what is set up here is felt by the whole mesh."""
    with own_lab(tmp_path_factory.mktemp("labs"), "other") as made:
        yield made


class Objects:
    """Creates objects, and deletes them at the end."""

    def __init__(self, lab: LabState) -> None:
        self.client = loopback.Client(base_url=lab.api)
        self._made: list[str] = []

    def create(self, api: str, plural: str, namespace: str, name: str, **content: Any) -> None:
        place = f"/{api}/namespaces/{namespace}/{plural}"
        answer = self.client.post(place, json=whole(place, {"metadata": {"name": name}, **content}))
        assert answer.status_code == 201, answer.text
        self._made.append(f"{place}/{name}")

    def create_global(self, plural: str, obj: dict[str, Any]) -> None:
        place = f"/apis/{obj['apiVersion']}/{plural}"
        answer = self.client.post(place, json=obj)
        assert answer.status_code == 201, answer.text
        self._made.append(f"{place}/{obj['metadata']['name']}")

    def virtual_service(self, namespace: str, name: str, **spec: Any) -> None:
        self.create("apis/networking.istio.io/v1", "virtualservices", namespace, name, spec=spec)

    def close(self) -> None:
        for path in reversed(self._made):
            assert self.client.delete(path).status_code in (200, 404)
        self.client.close()


@pytest.fixture
def objects(lab: LabState) -> Iterator[Objects]:
    made = Objects(lab)
    yield made
    until(lambda: not marked(lab), what="nothing of a run left")
    made.close()


def verdict_of(lab: LabState, file: Path, folder: Path) -> dict[str, Any]:
    done = chaosctl("run", file, *on(lab), "--report-dir", folder, "--json", cwd=configured(folder))
    assert done.stdout, done.stderr
    (verdict,) = json.loads(done.stdout)
    return dict(verdict)


@survive_only
def test_a_gateway_of_the_gateway_api_is_nobodys_caller(lab: LabState, objects: Objects, tmp_path: Path) -> None:
    """It calls the target, so the metrics name it; a VirtualService of the mesh never reaches it."""
    door = {"containers": [{"name": "istio-proxy", "image": "proxyv2:1.30.3", "args": ["proxy", "router"]}]}
    server = {"port": {"number": DOOR_PORT, "name": "http", "protocol": "HTTP"}, "hosts": ["stock.example"]}
    objects.create(
        "apis/networking.istio.io/v1", "gateways", "staging", "door",
        spec={"selector": {"gateway.networking.k8s.io/gateway-name": "door"}, "servers": [server]},
    )  # fmt: skip
    route = {"route": [{"destination": {"host": "inventory-svc", "port": {"number": 8080}}}]}
    objects.virtual_service("staging", "door", hosts=["stock.example"], gateways=["door"], http=[route])
    objects.create(
        "apis/apps/v1", "deployments", "staging", "door-istio",
        spec={
            "replicas": 1, "selector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "door"}},
            "template": {"metadata": {"labels": DOOR_LABELS}, "spec": door},
        },
    )  # fmt: skip

    def comes_through() -> bool:
        pods = objects.client.get(
            "/api/v1/namespaces/staging/pods", params={"labelSelector": "gateway.networking.k8s.io/gateway-name=door"}
        ).json()["items"]
        try:
            url = f"http://{pods[0]['status']['podIP']}:{DOOR_PORT}/stock/1"
            return loopback.get(url, headers={"host": "stock.example"}).status_code == 200
        except (IndexError, KeyError, httpx.TransportError):
            return False

    def is_counted() -> bool:
        counted = 'istio_requests_total{source_workload="door-istio",destination_service_name="inventory-svc"}'
        return comes_through() and bool(query(lab, counted))

    until(is_counted, what="a request through the gateway that was counted")
    verdict = verdict_of(lab, quick(tmp_path, callers="{}"), tmp_path)
    assert verdict["outcome"] == "passed", verdict["reasons"]
    assert "staging/door-istio" not in verdict["proof"]["targets"][0]["by_caller"]
    assert verdict["proof"]["proxies"]


def test_a_waypoint_is_told_instead_of_run_as_a_sidecar(lab: LabState, objects: Objects) -> None:
    proxy = {"name": "istio-proxy", "image": "proxyv2:1.30.3", "args": ["proxy", "waypoint"]}
    objects.create("api/v1", "pods", "staging", "waypoint", spec={"containers": [proxy]})
    place = "/api/v1/namespaces/staging/pods/waypoint"
    until(lambda: objects.client.get(place).json()["status"].get("phase") == "Failed", what="a pod that does not start")
    assert "got `proxy waypoint`" in objects.client.get(place).json()["status"]["message"]


def test_pods_of_stateful_sets_keep_their_names_which_may_be_those_of_others(lab: LabState, objects: Objects) -> None:
    labels = {"app": "web", "version": "v1"}
    container = {"name": "web", "image": "web", "ports": [{"containerPort": 8080}]}
    for namespace in lab.namespaces:
        spec: dict[str, Any] = {
            "clusterIP": "None",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        }
        objects.create("api/v1", "services", namespace, "web", spec=spec)
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"serviceName": "web", "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        objects.create("apis/apps/v1", "statefulsets", namespace, "web", spec=spec)

    def uid() -> str:
        """Of the pod that is deleted, once it is ready."""
        pod = objects.client.get("/api/v1/namespaces/staging/pods/web-0").json()
        conditions = pod.get("status", {}).get("conditions") or ()
        return (
            pod["metadata"]["uid"]
            if {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in conditions}.items()
            else ""
        )

    caller = Connection(sidecar(lab, "order-svc"))

    def answering(name: str) -> dict[str, Any]:
        status, _, body = caller.get(name, "/")
        return json.loads(body) if status == 200 else {}

    names = {f"{pod}.web.{namespace}": (namespace, pod) for namespace in lab.namespaces for pod in ("web-0", "web-1")}

    def all_answer() -> bool:
        found = {name: answering(name) for name in names}
        return all((one.get("namespace"), one.get("pod")) == names[name] for name, one in found.items())

    until(all_answer, what="each pod answers by its own name", within=60)
    assert answering("web.staging")["workload"] == "web"
    assert caller.get("web-2.web.staging", "/")[0] == 503
    before = uid()
    assert objects.client.delete("/api/v1/namespaces/staging/pods/web-0").status_code == 200
    until(lambda: uid() not in ("", before), what="a new pod of the same name")
    until(all_answer, what="the new pod answers, too")
    caller.close()


@survive_only
def test_a_shift_goes_back_when_it_is_frozen_when_the_canary_fails_and_when_it_gets_nothing(
    lab: LabState, objects: Objects, tmp_path: Path
) -> None:
    """The canary answers nothing but errors, which who calls it bears."""
    failing = json.dumps({"routes": [{"path": "/stock/*", "errors": {"share": "100%", "status": 500}}]})
    labels = {"app": "inventory-svc", "version": "v2"}
    container = {"name": "app", "image": "stock", "ports": [{"containerPort": 8080}]}
    template = {
        "metadata": {"labels": labels, "annotations": {BEHAVIOUR: failing}},
        "spec": {"containers": [container]},
    }
    versions = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
    objects.create(
        "apis/networking.istio.io/v1", "destinationrules", "staging", "stock",
        spec={"host": "inventory-svc", "subsets": versions},
    )  # fmt: skip
    stock = {"route": [{"destination": {"host": "inventory-svc", "subset": "v1"}}]}
    objects.virtual_service("staging", "stock", hosts=["inventory-svc"], exportTo=["."], http=[stock])
    objects.create(
        "apis/apps/v1", "deployments", "staging", "inventory-svc-v2",
        spec={"selector": {"matchLabels": labels}, "template": template},
    )  # fmt: skip
    place = "/apis/apps/v1/namespaces/staging/deployments/inventory-svc-v2"
    until(lambda: objects.client.get(place).json().get("status", {}).get("readyReplicas") == 1, what="a canary")

    def shifted(
        at_least: str,
        *,
        name: str = "stock",
        service: str = "inventory-svc",
        path: str = "/orders/1",
        told: Callable[[ShiftStep], None] = lambda step: None,
    ) -> Shift:
        routes = f"/apis/networking.istio.io/v1/namespaces/staging/virtualservices/{name}"
        before = objects.client.get(routes).json()["spec"]
        experiment = Experiment(
            "shift", target=Target("staging", "inventory-svc", callers={"app": "order-svc"}),
            faults=[Abort(percentage=1, http_status=503)], load=Load(rate=30, requests=[Request(path)]),
            steady_state=[Expectation("answered", service=service, status="<500", at_least=at_least)],
        )  # fmt: skip
        settings = Settings(namespaces=["staging"], changes=["staging"])
        with Harness.connect(
            lab.context, kubeconfig=lab.kubeconfig, prometheus=lab.prometheus, entry=lab.entry, settings=settings,
            report_dir=tmp_path,
        ) as harness:  # fmt: skip
            found = harness.shift(
                experiment, virtual_service=name, source="v1", target="v2", step=50, every="5s",
                told=told,
            )  # fmt: skip
        again = Harness.judge_shift(tmp_path / "shifts" / found.run)
        assert again.again is not None
        assert again.again.is_plain, again.again.differences
        assert objects.client.get(routes).json()["spec"] == before
        return found

    def freeze(text: str | None) -> None:
        note = {"metadata": {"annotations": {FROZEN: text}}}
        kind = {"content-type": "application/merge-patch+json"}
        objects.client.patch("/api/v1/namespaces/staging", json=note, headers=kind).raise_for_status()

    try:
        frozen = shifted(
            "70%", service="order-svc", told=lambda step: freeze("release day") if step.percent == 50 else None
        )
    finally:
        freeze(None)
    assert (frozen.outcome, [step.percent for step in frozen.steps]) == (Outcome.INCONCLUSIVE, [0, 50]), frozen.reason
    assert "release day" in frozen.reason
    failed = shifted("70%")
    assert failed.outcome is Outcome.FAILED, [step.sentence for step in failed.steps]
    assert failed.reason == "at 50 % the steady state was violated"
    passed_by = shifted("70%", name="recommendation-svc", service="recommendation-svc", path="/recommendations/1")
    assert passed_by.outcome is Outcome.INCONCLUSIVE, "the gateway has routes of its own"
    assert "went to the target, which is not 50 %" in passed_by.reason


@survive_only
def test_a_shift_that_is_killed_is_put_back_by_its_watchdog(lab: LabState, tmp_path: Path) -> None:
    def spec() -> dict[str, Any]:
        found: dict[str, Any] = spec_of_everything(lab)["staging/recommendation-svc"]["spec"]
        return found

    before = spec()
    name = "recommendation-svc"
    file = quick(tmp_path, service=name, callers="{}", answers=name, path="/recommendations/1")
    versions = ["--virtual-service", name, "--from", "v1", "--to", "v2", "--step", "50", "--every", "5s"]
    settings = configured(tmp_path, f'{ALLOWED}changes = ["staging"]\n')
    command = ["shift", str(file), *versions, *on(lab), "--report-dir", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos", *command], cwd=settings, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: spec() != before or process.poll() is not None, what="the first step", within=60)
    finally:
        process.kill()
    _, told = process.communicate()
    assert told.startswith("0 %: holds after"), told
    until(lambda: spec() == before and not marked(lab), what="all is as before", within=5)

    def ended() -> dict[str, Any]:
        """What the watchdog says that it did, once it has ended."""
        said = [json.loads(file.read_text()) for file in tmp_path.glob("shifts/*/watchdog.json")]
        return next((one for one in said if one["ended"]), {})

    deeds = until(ended, what="the watchdog has ended", within=20)
    assert (deeds["why"], deeds["clean"], deeds["troubles"]) == ("run died", True, [])
    assert any("recommendation-svc" in one for one in deeds["removed"]), deeds
    assert "no active faults" in chaosctl("status", *on(lab)[:4], cwd=settings).stdout


@pytest.mark.parametrize(
    ("default", "own", "strategy"),
    [
        pytest.param(".", {}, "patch", id="patch"),
        pytest.param("~", {}, "create", id="create", marks=survive_only),
        pytest.param(".", {"exportTo": ["*"]}, "overlay", id="overlay", marks=survive_only),
    ],
)
def test_runs_under_another_default_of_export_to_and_the_policy(
    lab: LabState, objects: Objects, tmp_path: Path, default: str, own: dict[str, Any], strategy: str
) -> None:
    """What is planned under the mesh's default is admitted by the policy that was printed for it, and felt by the callers."""
    text = json.dumps({"defaultVirtualServiceExportTo": [default]})
    objects.create("api/v1", "configmaps", "istio-system", "istio", data={"mesh": text})
    stock = {"route": [{"destination": {"host": "inventory-svc"}}]}
    objects.virtual_service("staging", "inventory", hosts=["inventory-svc"], http=[stock], **own)
    orders = {"match": [{"uri": {"prefix": "/orders"}}], "route": [{"destination": {"host": "order-svc"}}]}
    objects.virtual_service("staging", "door", hosts=["*"], gateways=["shop-gateway"], exportTo=["."], http=[orders])
    settings = LAB.model_copy(update={"namespaces": lab.staging})
    policy, binding = admission(settings, home="default", default_export=[default])
    objects.create_global("validatingadmissionpolicies", policy)
    objects.create_global("validatingadmissionpolicybindings", binding)
    verdict = verdict_of(lab, quick(tmp_path), tmp_path)
    assert verdict["outcome"] == "passed", verdict["reasons"]
    assert list(verdict["proof"]["targets"][0]["by_caller"]) == ["staging/order-svc"]
    assert record_in(tmp_path)["plan"]["injections"][0]["strategy"] == strategy
