"""Canaries on the lab as Flagger and Argo Rollouts lay them out: real routes, and Istio's labels of what they chose."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.lab.state import LabState
from tests.e2e.callers import kubectl
from tests.e2e.experiments import chaosctl, configured, on, query, quick, record_in
from tests.support import loopback
from tests.support.labs import own_lab
from tests.support.scope import EVERY
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.skipif(not EVERY, reason="takes more than a minute: make survive")]
Object = dict[str, Any]
CANARY = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "order-svc", "uid": "1", "controller": True}


def obj(api: str, kind: str, name: str, **content: Any) -> Object:
    meta = {"name": name, "namespace": "staging", **content.pop("meta", {})}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **content}


def service(name: str, app: str) -> Object:
    return obj("v1", "Service", name, spec={"selector": {"app": app}, "ports": [{"name": "http", "port": 8080}]})


def template(app: str, *routes: Object) -> Object:
    notes = {"lab.istio-chaos.dev/behaviour": yaml.safe_dump({"routes": list(routes)})}
    container = {"name": "app", "image": "shop:1", "ports": [{"containerPort": 8080}]}
    return {"metadata": {"labels": {"app": app}, "annotations": notes}, "spec": {"containers": [container]}}


def deployment(app: str, *routes: Object) -> Object:
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": template(app, *routes)}
    return obj("apps/v1", "Deployment", app, spec=spec)


def answers(path: str, *called: str, errors: float = 0.0) -> Object:
    calls = [{"url": f"http://{name}:8080/{{id}}", "timeout": "1s", "fallback": {}} for name in called]
    return {"path": path, "calls": calls, **({"errors": {"share": errors, "status": 500}} if errors else {})}


def virtual_service(name: str, *weights: tuple[str, int], meta: Object | None = None, **spec: Any) -> Object:
    parts = [{"destination": {"host": host}, "weight": weight} for host, weight in weights]
    return obj(
        "networking.istio.io/v1", "VirtualService", name, meta=meta or {}, spec={"hosts": [name], "http": [{"route": parts}], **spec}
    )  # fmt: skip


def rollout(errors: float = 0.0) -> Object:
    canary = {
        "stableService": "cart-svc-stable", "canaryService": "cart-svc-canary",
        "trafficRouting": {"istio": {"virtualService": {"name": "cart-svc"}}}, "steps": [{"setWeight": 50}, {"pause": {}}],
    }  # fmt: skip
    route = answers("/{id}", "inventory-svc", errors=errors)
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "cart-svc"}}, "template": template("cart-svc", route)}
    return obj("argoproj.io/v1alpha1", "Rollout", "cart-svc", spec={**spec, "strategy": {"canary": canary}})


def everything() -> Iterator[Object]:
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    gateway = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    yield obj("networking.istio.io/v1", "Gateway", "public", spec=gateway)
    yield virtual_service("web", ("web", 100), hosts=["*"], gateways=["public"])
    yield service("web", "web")
    yield deployment("web", answers("/orders/{id}", "order-svc"), answers("/carts/{id}", "cart-svc"))
    yield service("inventory-svc", "inventory-svc")
    yield deployment("inventory-svc", answers("/{id}"))
    # Flagger: the apex Service and the primary one select the primary pods, and a Canary owns the VirtualService.
    for name, app in (("order-svc", "primary"), ("order-svc-primary", "primary"), ("order-svc-canary", "canary")):
        yield service(name, f"order-{app}")
    yield deployment("order-primary", answers("/{id}", "inventory-svc"))
    yield deployment("order-canary", answers("/{id}", "inventory-svc"))
    split = [("order-svc-primary", 60), ("order-svc-canary", 40)]
    yield virtual_service("order-svc", *split, meta={"ownerReferences": [CANARY]})
    # Argo Rollouts: the controller adds the pods' hash to the selectors of both Services.
    for name in ("cart-svc", "cart-svc-stable", "cart-svc-canary"):
        yield service(name, "cart-svc")
    yield virtual_service("cart-svc", ("cart-svc-stable", 100), ("cart-svc-canary", 0))
    yield rollout()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    folder = tmp_path_factory.mktemp("labs")
    file = folder / "canaries.yaml"
    file.write_text(yaml.safe_dump_all(everything()))
    with own_lab(folder, "canaries", manifests=[file]) as made:
        for path in ("/orders/1", "/carts/1"):
            until(lambda path=path: loopback.get(f"{made.entry}{path}").status_code == 200, what="an answer")  # type: ignore[misc]
        yield made


def test_a_target_that_flagger_splits_is_called_hit_and_proven(lab: LabState, tmp_path: Path) -> None:
    file = quick(tmp_path, service="order-svc", callers="{app: web}", answers="web", path="/orders/1")
    done = chaosctl("run", file, *on(lab), "--report-dir", tmp_path, "--json", cwd=configured(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(done.stdout)
    (target,) = verdict["proof"]["targets"]
    assert list(target["by_caller"]) == ["staging/web"]
    flagged = query(lab, 'istio_requests_total{source_workload="web",response_flags="FI"}')
    assert {one["metric"]["destination_service_name"] for one in flagged} == {"order-svc-primary", "order-svc-canary"}
    assert (
        "order-svc.staging.svc.cluster.local also at order-svc-canary."
        in next(tmp_path.glob("runs/*/plan.txt")).read_text()
    )


def test_a_broken_update_of_a_rollout_that_begins_during_the_fault_is_found(lab: LabState, tmp_path: Path) -> None:
    file = quick(
        tmp_path, callers="{app: cart-svc}", answers="cart-svc", path="/carts/1", baseline="60s",
        fault="delay: {percentage: 50, fixedDelay: 5ms}",
    )  # fmt: skip
    text = file.read_text().replace("within: 10s", "within: 30s, stayGood: 3s")
    file.write_text(text.replace("profile: quick", "observe: {atLeast: 10s}"))
    command = ["run", str(file), *on(lab), "--report-dir", str(tmp_path), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos", *command], cwd=configured(tmp_path), stdout=subprocess.PIPE, text=True
    )
    try:
        until(lambda: faults(lab) or process.poll() is not None, within=90, what="the fault")
        assert process.poll() is None, process.communicate()
        kubectl(lab, "apply", "-f", "-", stdin=yaml.safe_dump(rollout(errors=0.9)))
        until(lambda: not faults(lab), within=60, what="the end of the fault")
        kubectl(lab, "apply", "-f", "-", stdin=yaml.safe_dump(rollout()))
        told, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    (verdict,) = json.loads(told)
    reason, *others = verdict["reasons"]
    assert reason["code"] == "expectation-violated"
    # The broken update's pod ends during the recovery, so what it counted last may not be scraped.
    assert {one["code"] for one in others} <= {"caller-not-scraped"}
    assert "at cart-svc-canary" in reason["message"]
    assert [event["destination"] for event in record_in(tmp_path)["events"] if event["kind"] == "routes-changed"] == [
        "cart-svc-canary.staging.svc.cluster.local"
    ]


def faults(lab: LabState) -> list[str]:
    return [name for name in kubectl(lab, "get", "vs", "-n", "staging", "-o", "name").split() if "/chaos-" in name]
