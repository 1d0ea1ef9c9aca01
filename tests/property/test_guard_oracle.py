"""The guard against an oracle: over random meshes it never allows what would change a caller outside staging."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chaos.faults.strategy import choose
from chaos.guard import Draft, check
from chaos.model.document import parse_experiment
from chaos.model.experiment import Experiment
from chaos.model.plan import Injection, Strategy
from chaos.model.settings import Settings
from chaos.model.situation import Situation, Workload
from tests.conftest import FIGURE
from tests.property.mesh_oracle import SHARED, Proxy, Request, changed, leads_out

MESHES = 20_000
PLACES = ("staging", "production", "qa")
NAMES = ("inventory", "order", "web")
SERVICES = [f"{name}.{place}.svc.cluster.local" for place in PLACES for name in NAMES]
PROXIES = [Proxy(place, app) for place in PLACES for app in ("order", "web")] + [
    Proxy("istio-system", "istio-ingressgateway", gateway=True)
]
REQUESTS = [
    Request(f"{name}.{place}.svc.cluster.local", path, user)
    for name, place in (("inventory", "staging"), ("inventory", "production"), ("order", "staging"))
    for path, user in (("/a/1", ""), ("/b", "jason"))
]
TO_TARGET = [one for one in REQUESTS if one.host == "inventory.staging.svc.cluster.local"]
SETTINGS = Settings(namespaces=("staging",))
TEXT = """\
experiment: orders
target: {{namespace: staging, service: inventory{more}}}
faults: [{{abort: {{percentage: 50, httpStatus: 503}}}}]
load: {{requests: [{{path: /}}]}}
steadyState: [{{title: a, service: order, good: {{status: "<500"}}, atLeast: 99%}}]
"""
EXPERIMENTS: list[Experiment] = [
    parse_experiment(TEXT.format(more=more))
    for more in (
        "",
        ", callers: {app: order}",
        ", match: [{uri: {prefix: /a}}]",
        ", callers: {app: web}, match: [{uri: {prefix: /b}}]",
    )
]


def host_for(draw: random.Random) -> str:
    name = draw.choice(NAMES[:2])
    place = draw.choice(PLACES)
    return draw.choice([
        name, name, name, f"{name}.{place}.svc.cluster.local", f"{name}.{place}", f"*.{place}.svc.cluster.local", "*.svc.cluster.local",
    ])  # fmt: skip


def route(draw: random.Random, namespace: str) -> dict[str, Any]:
    inside = draw.random() < 0.8
    host = draw.choice(
        ["inventory", "order", f"inventory.{namespace}.svc.cluster.local"]
        if inside
        else ["inventory.production.svc.cluster.local", "web.qa", "example.com"]
    )
    made: dict[str, Any] = {"route": [{"destination": {"host": host}}]}
    if draw.random() < 0.4:
        made["match"] = [block(draw) for _ in range(draw.randint(1, 2))]
    if draw.random() < 0.2:
        made["timeout"] = "3s"
    if draw.random() < 0.1:
        made["fault"] = {"abort": {"percentage": {"value": 1}, "httpStatus": 500}}
    return made


def block(draw: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw.random() < 0.7:
        found["uri"] = {"prefix": draw.choice(["/a", "/b", "/"])}
    if draw.random() < 0.2:
        found["headers"] = {"x-user": {"exact": "jason"}}
    if draw.random() < 0.3:
        found["sourceLabels"] = {"app": draw.choice(["order", "web"])}
    if draw.random() < 0.2:
        found["sourceNamespace"] = draw.choice(PLACES)
    if draw.random() < 0.15:
        found["gateways"] = draw.choice([["mesh"], [SHARED], [SHARED, "mesh"]])
    return found or {"uri": {"prefix": "/"}}


EXPORTS: list[list[str] | None] = [
    None,
    None,
    None,
    ["*"],
    ["."],
    ["."],
    ["staging"],
    ["production"],
    ["staging", "production"],
    ["~"],
]
GATEWAYS: list[list[str] | None] = [None, None, None, ["mesh"], [SHARED], [SHARED, "mesh"]]


def virtual_service(draw: random.Random, number: int) -> dict[str, Any]:
    namespace = draw.choice(("staging", *PLACES))
    spec: dict[str, Any] = {
        "hosts": [host_for(draw)],
        "http": [route(draw, namespace) for _ in range(draw.randint(1, 3))],
    }
    for key, values in (("exportTo", EXPORTS), ("gateways", GATEWAYS)):
        value = draw.choice(values)
        if value is not None:
            spec[key] = list(value)
    age = f"2026-01-{draw.randint(1, 9):02d}T00:00:00Z"
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": f"vs-{number}", "namespace": namespace, "creationTimestamp": age, "uid": f"u{number}", "resourceVersion": "1"},
        "spec": spec,
    }  # fmt: skip


def tampered(draw: random.Random, injection: Injection) -> Injection:
    """The object as a bug of ours, or an attacker, might make it."""
    after = copy.deepcopy(dict(injection.after))
    spec = after["spec"]
    what = draw.choice(["export", "hosts", "gateways", "destination", "match"])
    if what == "export":
        spec["exportTo"] = draw.choice(
            [["*"], ["production"], ["staging"], ["staging", "production"], [".", "qa"], ["~"]]
        )
    elif what == "hosts":
        spec["hosts"] = [
            draw.choice(
                [
                    "inventory.production.svc.cluster.local",
                    "*.svc.cluster.local",
                    "inventory.qa.svc.cluster.local",
                    "order",
                ]
            )
        ]
    elif what == "gateways":
        spec["gateways"] = draw.choice([[SHARED], [SHARED, "mesh"], ["mesh"]])
    elif what == "destination":
        spec["http"][0]["route"] = [{"destination": {"host": "inventory.production.svc.cluster.local"}}]
    else:
        spec["http"][0]["match"] = [block(draw)]
    return injection.model_copy(update={"after": after})


def applied(objects: list[dict[str, Any]], injection: Injection) -> list[dict[str, Any]]:
    """The mesh with the object in it; one that is created is the youngest."""
    written = copy.deepcopy(dict(injection.after))
    if injection.strategy is Strategy.PATCH:
        return [written if vs["metadata"]["name"] == injection.name else vs for vs in objects]
    written["metadata"]["creationTimestamp"] = "2026-12-01T00:00:00Z"
    return [*objects, written]


def namespace_object(name: str) -> dict[str, Any]:
    labels = {"env": "staging"} if name in ("staging", "qa") else {}
    return {"metadata": {"name": name, "labels": labels}}


def situation(objects: list[dict[str, Any]]) -> Situation:
    services = [
        {"metadata": {"name": name, "namespace": place}, "spec": {"ports": [{"name": "http", "port": 80}]}} for place in PLACES for name in NAMES
    ]  # fmt: skip
    workloads = [Workload(app, "staging", {"app": app}, proxied=(f"{app}-1",)) for app in ("order", "web")]
    return Situation(
        cluster="c", namespaces={name: namespace_object(name) for name in (*PLACES, "istio-system")}, services=services,
        virtual_services=objects, workloads=workloads,
    )  # fmt: skip


@pytest.mark.timeout(600)
def test_the_guard_never_allows_what_changes_a_caller_outside_staging(
    record_property: Callable[[str, object], None],
) -> None:
    draw = random.Random(20261123)
    seen: Counter[str] = Counter()
    for mesh in range(MESHES):
        objects = [virtual_service(draw, number) for number in range(draw.randint(0, 4))]
        experiment = draw.choice(EXPERIMENTS)
        found = situation(objects)
        injection = choose(experiment, found, run="abcdefgh", expires=datetime(2026, 12, 1, tzinfo=UTC))
        if not isinstance(injection, Injection):
            seen["no injection could be made"] += 1
            continue
        if mesh % 2:
            injection = tampered(draw, injection)
        refusals = check(Draft(experiment=experiment, situation=found, settings=SETTINGS, injection=injection))
        hit = changed(objects, applied(objects, injection), PROXIES, REQUESTS, SERVICES)
        outside = {proxy for proxy in hit if proxy.namespace != "staging" or proxy.gateway}
        kind = "tampered" if mesh % 2 else "ours"
        if outside:
            seen[f"{kind}: would hit outside"] += 1
            rules = [one.rule for one in refusals]
            assert refusals, f"mesh {mesh}: allowed, and {outside} would change: {injection.after['spec']}; {rules}"
        elif hit and any(
            leads_out(applied(objects, injection), proxy, TO_TARGET, SERVICES, "staging") for proxy in hit
        ):
            seen[f"{kind}: leads out of staging"] += 1
            assert refusals, f"mesh {mesh}: allowed, and requests go on to other namespaces: {injection.after['spec']}"
        elif hit:
            seen[f"{kind}: staging only"] += 1
            seen[f"{kind}: staging only, refused"] += bool(refusals)
            for one in refusals:
                seen[f"  refused though harmless: {one.rule}"] += 1
    record_property(
        FIGURE, f"guard against oracle, {MESHES} meshes: " + ", ".join(f"{key} {n}" for key, n in sorted(seen.items()))
    )
    assert seen["ours: would hit outside"] == 0, "what the strategies make is private already"
    assert seen["tampered: would hit outside"] > MESHES / 100
    assert seen["ours: staging only"] > MESHES / 10
