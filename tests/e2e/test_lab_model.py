"""Random VirtualServices, DestinationRules and requests: the lab's real sidecars against an independent model."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.lab.state import LabState
from tests.conftest import FIGURE
from tests.e2e import route_model as model
from tests.e2e.kinds import whole
from tests.support import loopback
from tests.support.labs import own_lab
from tests.support.scope import EVERY
from tests.support.waiting import until

pytestmark = pytest.mark.lab
NAMESPACES, SERVICES = ("alpha", "beta"), ("one", "two")
HOSTS = [f"{name}.{home}.svc.cluster.local" for home in NAMESPACES for name in SERVICES]
PODS = {host: frozenset({"v1", "v2"} if host.startswith("one") else {"v1"}) for host in HOSTS}
MARKER = "marker.example"
ROUNDS = 250 if EVERY else 50
REQUESTS = 12
"""For each configuration; a round has one for every host."""
GROUP = "apis/networking.istio.io/v1"


def manifests() -> str:
    parts = []
    for host in HOSTS:
        name, home = host.split(".")[:2]
        parts.append(
            f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {home}}}\n"
            f"spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {model.PORT}}}]}}\n"
        )
        for version in sorted(PODS[host]):
            labels = f"{{app: {name}, version: {version}}}"
            parts.append(
                f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}-{version}, namespace: {home}}}\n"
                f"spec:\n  selector: {{matchLabels: {labels}}}\n  template:\n    metadata: {{labels: {labels}}}\n"
                f"    spec: {{containers: [{{name: app, image: x, ports: [{{containerPort: {model.PORT}}}]}}]}}\n"
            )
    return "---\n".join(parts)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    file: Path = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    file.write_text(manifests())
    with own_lab(tmp_path_factory.mktemp("labs"), "model", manifests=[file]) as made:
        yield made


def text(rng: random.Random, *values: str) -> dict[str, str]:
    value = rng.choice(values)
    return rng.choice([{"exact": value}, {"prefix": value[:-1]}, {"regex": f"{value[:-1]}.*"}])


def match(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rng.random() < 0.5:
        found["uri"] = rng.choice([text(rng, "/a/1", "/b"), {"prefix": "/a"}, {"exact": "/A/1"}])
        if rng.random() < 0.2 and "regex" not in found["uri"]:
            found["ignoreUriCase"] = True
    if rng.random() < 0.4:
        found["headers"] = {rng.choice(["x-tier", "x-user"]): rng.choice([text(rng, "gold", "tin"), {}])}
    if rng.random() < 0.15:
        found["withoutHeaders"] = {"x-user": rng.choice([text(rng, "gold", "tin"), {}])}
    if rng.random() < 0.15:
        found["queryParams"] = {"q": {"exact": rng.choice(["1", "2"])}}
    if rng.random() < 0.2:
        found["method"] = {"exact": rng.choice(["GET", "POST"])}
    if rng.random() < 0.2:
        found["sourceLabels"] = {"app": rng.choice(SERVICES)}
    if rng.random() < 0.15:
        found["sourceNamespace"] = rng.choice(NAMESPACES)
    if rng.random() < 0.1:
        found["gateways"] = rng.choice([["mesh"], ["door"], ["door", "mesh"]])
    if rng.random() < 0.1:
        found["port"] = rng.choice([model.PORT, 9999])
    return found or {"uri": {"prefix": "/"}}


def destination(rng: random.Random, host: str) -> dict[str, Any]:
    found: dict[str, Any] = {"host": host if rng.random() < 0.8 else rng.choice([*HOSTS, "nobody", "one.beta"])}
    if rng.random() < 0.5:
        found["subset"] = rng.choice(["v1", "v2", "v3"])
    return found


def http(rng: random.Random, host: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rng.random() < 0.8:
        found["match"] = [match(rng) for _ in range(rng.choice([1, 1, 2]))]
    kind = rng.random()
    if kind < 0.12:
        redirect: dict[str, Any] = {}
        if rng.random() < 0.7:
            redirect["uri"] = "/elsewhere"
        if rng.random() < 0.5 or not redirect:
            redirect["authority"] = "other.example"
        if rng.random() < 0.5:
            redirect["redirectCode"] = rng.choice([302, 307])
        return {**found, "redirect": redirect}
    if kind < 0.25:
        return {**found, "directResponse": {"status": rng.choice([200 + 18, 418, 451])}}
    if rng.random() < 0.25:
        share = rng.choice([100, 100, 0])
        found["fault"] = {"abort": {"percentage": {"value": share}, "httpStatus": rng.choice([429, 500, 555])}}
    if rng.random() < 0.3:
        weights = rng.choice([(50, 50), (0, 100), (100, 0)])
        found["route"] = [{"destination": destination(rng, host), "weight": weight} for weight in weights]
    else:
        found["route"] = [{"destination": destination(rng, host)}]
    if rng.random() < 0.2:
        found["timeout"] = "5s"
    return found


def virtual_service(rng: random.Random, host: str) -> dict[str, Any]:
    name, home = host.split(".")[:2]
    namespace = rng.choice(NAMESPACES)
    forms = [host, host, host, f"*.{home}.svc.cluster.local"] + ([name] if namespace == home else [])
    listed = [http(rng, host) for _ in range(rng.choice([1, 1, 2, 3]))]
    spec: dict[str, Any] = {"hosts": [rng.choice(forms)], "http": listed}
    other = next(one for one in NAMESPACES if one != namespace)
    export = rng.choice([None, None, None, ["*"], ["."], ["alpha"], [other, "."]])
    if export:
        spec["exportTo"] = export
    if rng.random() < 0.1:
        spec["gateways"] = rng.choice([["mesh"], ["door"], ["door", "mesh"]])
    return {"metadata": {"name": f"vs-{rng.randrange(16**6):06x}", "namespace": namespace}, "spec": spec}


def destination_rule(rng: random.Random, host: str) -> dict[str, Any]:
    subsets = [
        {"name": name, "labels": {"version": rng.choice(["v1", "v2"])}} for name in ("v1", "v2") if rng.random() < 0.9
    ]
    spec: dict[str, Any] = {"host": host, "subsets": subsets}
    if rng.random() < 0.3:
        spec["exportTo"] = [rng.choice([".", "*", "alpha", "beta"])]
    namespace = rng.choice([host.split(".")[1], *NAMESPACES])
    return {"metadata": {"name": f"dr-{rng.randrange(16**6):06x}", "namespace": namespace}, "spec": spec}


def request(rng: random.Random, host: str) -> model.Request:
    name, home = host.split(".")[:2]
    headers = {key: rng.choice(["gold", "golden", "tin", "x"]) for key in ("x-tier", "x-user") if rng.random() < 0.5}
    return model.Request(
        host=rng.choice([name, f"{name}.{home}", f"{name}.{home}.svc", host]),
        path=rng.choice(["/", "/a/1", "/a/2", "/A/1", "/b", "/c"]),
        method=rng.choice(["GET", "GET", "POST"]),
        headers=headers,
        query={"q": rng.choice(["1", "2", "3"])} if rng.random() < 0.3 else {},
    )


class Mesh:
    """The lab, as this test uses it."""

    def __init__(self, lab: LabState) -> None:
        self._api = loopback.Client(base_url=lab.api)
        pods = self._api.get("/api/v1/pods").json()["items"]
        self.callers: list[tuple[model.Caller, httpx.Client]] = []
        for pod in pods:
            meta = pod["metadata"]
            if meta["namespace"] in NAMESPACES:
                client = loopback.Client(proxy=f"http://{pod['status']['podIP']}:15001", timeout=10)
                self.callers.append((model.Caller(meta["namespace"], meta["labels"]), client))
        self._written: list[str] = []
        self._round = 0

    def close(self) -> None:
        for _, client in self.callers:
            client.close()
        self._api.close()

    def write(self, objects: dict[str, list[dict[str, Any]]]) -> model.World:
        """Replaces all objects, and returns once every sidecar has them."""
        for path in self._written:
            assert self._api.delete(path).status_code == 200
        self._written.clear()
        self._round += 1
        body = f"round {self._round}"
        marker = [{"directResponse": {"status": 200, "body": {"string": body}}}]
        last = {"metadata": {"name": "marker", "namespace": "alpha"}, "spec": {"hosts": [MARKER], "http": marker}}
        for plural, listed in {**objects, "virtualservices": [*objects["virtualservices"], last]}.items():
            for obj in listed:
                path = f"/{GROUP}/namespaces/{obj['metadata']['namespace']}/{plural}"
                answer = self._api.post(path, json=whole(path, obj))
                assert answer.status_code == 201, f"{answer.text}\n{obj}"
                self._written.append(f"{path}/{obj['metadata']['name']}")
        until(lambda: all(client.get(f"http://{MARKER}/").text == body for _, client in self.callers))
        stored = {plural: self._api.get(f"/{GROUP}/{plural}").json()["items"] for plural in objects}
        return model.World(
            PODS,
            [one for one in stored["virtualservices"] if one["metadata"]["name"] != "marker"],
            stored["destinationrules"],
        )


def seen(client: httpx.Client, asked: model.Request) -> str:
    answer = client.request(
        asked.method, f"http://{asked.host}:{model.PORT}{asked.path}", headers=asked.headers, params=asked.query or None
    )
    if answer.is_redirect:
        return f"{answer.status_code} {answer.headers['location']}"
    if answer.status_code != 200:
        return str(answer.status_code)
    said = answer.json()
    return f"{said['service']}.{said['namespace']}.svc.cluster.local {said['version']}"


def test_the_sidecars_do_what_the_model_says(lab: LabState, record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 10**9)
    rng = random.Random(seed)
    mesh = Mesh(lab)
    asked = configurations = 0
    kinds: set[str] = set()
    try:
        with ThreadPoolExecutor(4) as pool:
            for number in range(ROUNDS):
                objects: dict[str, list[dict[str, Any]]] = {"destinationrules": [], "virtualservices": []}
                for host in HOSTS:
                    objects["destinationrules"] += [
                        destination_rule(rng, host) for _ in range(rng.choice([0, 1, 1, 2]))
                    ]
                    objects["virtualservices"] += [virtual_service(rng, host) for _ in range(rng.choice([0, 1, 2, 3]))]
                world = mesh.write(objects)
                configurations += len(HOSTS)
                work = [(*rng.choice(mesh.callers), request(rng, host)) for host in HOSTS for _ in range(REQUESTS)]
                answers = pool.map(lambda one: seen(one[1], one[2]), work)
                for (caller, _, what), answer in zip(work, answers, strict=True):
                    allowed = model.outcomes(world, caller, what)
                    told = (
                        f"seed {seed}, round {number}: {caller} {what}: the sidecar says {answer}, the model {allowed}"
                    )
                    assert answer in allowed, f"{told}\n{objects}"
                    asked += 1
                    kinds.add(answer)
    finally:
        mesh.close()
    record_property(
        FIGURE, f"sidecars against the model: {asked} requests over {configurations} configurations agree (seed {seed})"
    )
    assert asked >= 2000
    assert configurations >= 200
    assert len(kinds) >= 15, f"too few kinds of outcomes to mean anything: {kinds}"
