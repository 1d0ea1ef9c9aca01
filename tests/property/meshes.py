"""Random meshes and candidate injections, as plain objects that a cluster would take."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from chaos.adapters.experiment_file import parse_experiment
from chaos.injection.matching import NotExpressible
from chaos.injection.patching import put_in
from chaos.istio.workloads import Workload
from chaos.lab.istio.validation import VALIDATORS
from chaos.model.experiment import Experiment
from chaos.model.marks import own_name
from chaos.model.plan import Injection, Strategy
from chaos.model.settings import Settings
from chaos.model.situation import Situation
from tests.property.mesh_oracle import ROOT, Proxy, Request, World, known

RUN = "abcdefgh"
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)
PLACES = ("staging", "production", "qa")
NAMES = ("inventory", "order", "web")
TARGET = "inventory.staging.svc.cluster.local"
OUTSIDE = "api.example"
"""A host that only ServiceEntries know."""
PROXIES = [Proxy(place, app) for place in PLACES for app in ("order", "web")]
SHARED = "istio-system/shared"
OWN = "staging/own"
"""A gateway of staging's own, at which anybody may come in all the same."""
GATEWAY = Proxy(ROOT, "istio-ingressgateway", gateway=SHARED)
OWN_GATEWAY = Proxy("staging", "ingress", gateway=OWN)
HOSTS = (
    TARGET,
    "inventory.staging",
    "inventory.production.svc.cluster.local",
    "order.staging.svc.cluster.local",
    OUTSIDE,
)
PATHS = (("/a/1", ""), ("/a/1", "jason"), ("/b", ""), ("/b", "jason"), ("/c", ""), ("/c", "jason"))
REQUESTS = [
    *(Request(host, path, user) for host in HOSTS for path, user in PATHS),
    *(Request(host, path, user, 9080) for host in HOSTS[:3] for path, user in PATHS[:3]),
]
SURE = 8080
"""The only port of all services where real proxies are asked: 80 needs a privilege."""
PORTS: list[list[dict[str, Any]]] = [
    *[[{"name": "http", "port": 80}]] * 5,
    [{"name": "http", "port": 9080}],
    [{"name": "http", "port": 80}, {"name": "http-alt", "port": 9080}],
    [{"name": "http", "port": 80}, {"name": "tcp-x", "port": 9080}],
]
TEXT = """\
experiment: orders
target: {{namespace: staging, service: inventory{more}}}
faults: [{{abort: {{percentage: {share}, httpStatus: 555}}}}]
load: {{requests: [{{path: /}}]}}
steadyState: [{{title: a, service: order, good: {{status: "<500"}}, atLeast: 99%}}]
"""
NARROWER = (
    "",
    ", callers: {app: order}",
    ", match: [{uri: {prefix: /a}}]",
    ", callers: {app: web}, match: [{uri: {prefix: /b}}]",
)


def experiments(share: int) -> list[Experiment]:
    return [parse_experiment(TEXT.format(more=more, share=share)) for more in NARROWER]


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """A mesh, and what the settings and the metrics say of it."""

    namespaces: dict[str, dict[str, Any]]
    services: list[dict[str, Any]]
    virtual_services: list[dict[str, Any]]
    service_entries: list[dict[str, Any]]
    sidecars: list[dict[str, Any]]
    default: list[str] | None
    settings: Settings
    calling: tuple[tuple[str, str], ...]

    @property
    def inside(self) -> set[str]:
        """Where a fault may be felt: what is on the list and says of itself that it is staging."""
        return {
            name
            for name in self.settings.namespaces
            if self.namespaces[name]["metadata"]["labels"].get("env") == "staging"
        }

    def has(self, namespace: str, name: str) -> bool:
        """Whether there is such a VirtualService."""
        found = {(vs["metadata"]["namespace"], vs["metadata"]["name"]) for vs in self.virtual_services}
        return (namespace, name) in found

    def situation(self) -> Situation:
        workloads = [Workload(app, "staging", {"app": app}, proxied=(f"{app}-1",)) for app in ("order", "web")]
        return Situation(
            cluster="c", namespaces=self.namespaces, services=self.services, virtual_services=self.virtual_services,
            workloads=workloads, calling=self.calling, sidecars=self.sidecars, service_entries=self.service_entries,
            default_exports={"default": tuple(self.default or ["*"])},
        )  # fmt: skip

    def world(self) -> World:
        labels = [
            self.namespaces["staging"]["metadata"]["labels"],
            next(one for one in self.services if one["metadata"]["name"] == "inventory")["metadata"].get("labels")
            or {},
        ]
        through = any("istio.io/use-waypoint" in one for one in labels)
        return World(
            self.virtual_services,
            known(self.services, self.service_entries),
            self.sidecars,
            self.default or ["*"],
            frozenset([TARGET] if through else []),
        )

    def listens(self, request: Request) -> bool:
        """Whether anybody may answer such a request: a Service has the port, or nothing is known of the host."""
        name, _, rest = request.host.partition(".")
        place = rest.partition(".")[0]
        ports = [
            port["port"]
            for one in self.services
            if (one["metadata"]["name"], one["metadata"]["namespace"]) == (name, place)
            for port in one["spec"]["ports"]
        ]
        return not ports or request.port in ports

    def with_(self, injection: Injection) -> Mesh:
        """The mesh with the object in it; one that is created is the youngest."""
        written = copy.deepcopy(dict(injection.after))
        if injection.strategy is Strategy.PATCH:
            key = (injection.namespace, injection.name)
            kept = [
                written if (vs["metadata"]["namespace"], vs["metadata"]["name"]) == key else vs
                for vs in self.virtual_services
            ]
            return replace(self, virtual_services=kept)
        written["metadata"]["creationTimestamp"] = "2026-12-01T00:00:00Z"
        return replace(self, virtual_services=[*self.virtual_services, written])


def a_mesh(draw: random.Random, *, sure: bool = False) -> Mesh:
    """A mesh.

    Args:
        draw: Where chance comes from.
        sure: What can be tried with real proxies: faults hit always, there is no waypoint, and each host is declared once.
    """
    labels: dict[str, dict[str, str]] = {name: {} for name in (*PLACES, ROOT)}
    for name, share in (("staging", 1.0 if sure else 0.93), ("qa", 0.6), ("production", 0.15)):
        if draw.random() < share:
            labels[name]["env"] = "staging"
    services: list[dict[str, Any]] = [
        {
            "metadata": {"name": name, "namespace": place, "labels": {}},
            "spec": {"ports": [{"name": "http", "port": SURE}] if sure else draw.choice(PORTS)},
        }
        for place in PLACES
        for name in NAMES
    ]
    if not sure and draw.random() < 0.03:
        draw.choice([labels["staging"], services[0]["metadata"]["labels"]])["istio.io/use-waypoint"] = "waypoint"
    virtual_services = [
        accepted(partial(virtual_service, draw, number, sure=sure)) for number in range(draw.randint(0, 4))
    ]
    if draw.random() < 0.3:
        virtual_services += delegation(draw, sure=sure)
    calling = {(draw.choice((*PLACES, "unknown")), draw.choice(("order", "web"))) for _ in range(draw.randint(0, 3))}
    return Mesh(
        namespaces={name: {"metadata": {"name": name, "labels": own}} for name, own in labels.items()},
        services=services,
        virtual_services=virtual_services,
        service_entries=[
            accepted(partial(service_entry, draw, number, sure=sure))
            for number in range(draw.choice([0, 1] if sure else [0, 0, 1, 2]))
        ],
        sidecars=[
            accepted(partial(sidecar, draw, number, sure=sure)) for number in range(draw.choice([0, 0, 0, 1, 2]))
        ],
        default=draw.choice([None, None, None, ["*"], ["."]]),
        settings=Settings(namespaces=draw.choice([("staging",), ("staging",), ("staging", "qa")])),
        calling=tuple(sorted(calling)),
    )


def accepted(draw: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The first object drawn that Istio's webhook would take."""
    while True:
        found = draw()
        if taken(found):
            return found


def taken(obj: dict[str, Any]) -> bool:
    """Whether Istio's schema and webhook take an object."""
    return VALIDATORS[obj["kind"]](copy.deepcopy(obj)).accepted


def named(kind: str, name: str, namespace: str, draw: random.Random, spec: dict[str, Any]) -> dict[str, Any]:
    age = f"2026-01-{draw.randint(1, 9):02d}T00:00:00Z"
    meta = {
        "name": name,
        "namespace": namespace,
        "creationTimestamp": age,
        "uid": f"{namespace}-{name}",
        "resourceVersion": "1",
    }
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": meta, "spec": spec}  # fmt: skip


EXPORTS: list[list[str] | None] = [
    None, None, None, ["*"], ["."], ["."], ["staging"], ["production"], ["staging", "production"], [".", "qa"], ["~"],
]  # fmt: skip
GATEWAYS: list[list[str] | None] = [
    None, None, None, None, ["mesh"], [SHARED], [SHARED, "mesh"], [OWN], [OWN, "mesh"],
]  # fmt: skip


def virtual_service(draw: random.Random, number: int, *, sure: bool) -> dict[str, Any]:
    namespace = draw.choice(("staging", *PLACES))
    routes = [route(draw, namespace, sure=sure) for _ in range(draw.randint(1, 3))]
    spec: dict[str, Any] = {"hosts": [host_for(draw)], "http": routes}
    if not sure and draw.random() < 0.05:
        spec["tcp"] = [{"route": [{"destination": {"host": "inventory"}}]}]
        del spec["http"]
    for key, values in (("exportTo", EXPORTS), ("gateways", GATEWAYS)):
        value = draw.choice(values)
        if value is not None:
            spec[key] = list(value)
    return named("VirtualService", f"vs-{number}", namespace, draw, spec)


def host_for(draw: random.Random) -> str:
    name, place = draw.choice(NAMES[:2]), draw.choice(PLACES)
    return draw.choice(
        [name, name, name, name.title(), TARGET, f"{name}.{place}.svc.cluster.local", f"{name}.{place}", OUTSIDE]
        + ([f"*.{place}.svc.cluster.local", "*.svc.cluster.local"] if draw.random() < 0.5 else [])
    )


def route(draw: random.Random, namespace: str, *, sure: bool) -> dict[str, Any]:
    hosts = ["inventory", "order", f"inventory.{namespace}.svc.cluster.local", TARGET]
    if draw.random() > 0.85:
        hosts = ["inventory.production.svc.cluster.local", "web.qa", "example.com"]
    made: dict[str, Any] = {"route": [{"destination": {"host": draw.choice(hosts)}}]}
    if draw.random() < 0.4:
        made["match"] = [block(draw) for _ in range(draw.randint(1, 2))]
    if draw.random() < 0.2:
        made["timeout"] = "3s"
    if draw.random() < 0.1:
        made["fault"] = {"abort": {"percentage": {"value": 100 if sure else 1}, "httpStatus": 500}}
    return made


def block(draw: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw.random() < 0.1:
        found["port"] = draw.choice([80, 9080, SURE])
    if draw.random() < 0.7:
        found["uri"] = {"prefix": draw.choice(["/a", "/b", "/"])}
    if draw.random() < 0.2:
        found["headers"] = {"x-user": {"exact": "jason"}}
    if draw.random() < 0.3:
        found["sourceLabels"] = {"app": draw.choice(["order", "web"])}
    if draw.random() < 0.2:
        found["sourceNamespace"] = draw.choice(PLACES)
    if draw.random() < 0.15:
        found["gateways"] = draw.choice([["mesh"], [SHARED], [SHARED, "mesh"], [OWN, "mesh"]])
    return found or {"uri": {"prefix": "/"}}


def delegation(draw: random.Random, *, sure: bool) -> list[dict[str, Any]]:
    """A delegate with one or two roots, in whichever namespaces; sometimes one that is not there or not shown."""
    home = draw.choice(("staging", *PLACES))
    spec: dict[str, Any] = {"http": [route(draw, home, sure=sure) for _ in range(draw.randint(1, 2))]}
    export = draw.choice(EXPORTS)
    if export is not None:
        spec["exportTo"] = list(export)
    leaf = named("VirtualService", "leaf", home, draw, spec)
    made = [leaf] if draw.random() < 0.7 and taken(leaf) else []
    roots = [accepted(partial(a_root, draw, 10 + number, home, sure=sure)) for number in range(draw.randint(1, 2))]
    return [*made, *roots]


def a_root(draw: random.Random, number: int, home: str, *, sure: bool) -> dict[str, Any]:
    root = virtual_service(draw, number, sure=sure)
    leading: dict[str, Any] = {"delegate": {"name": "leaf", "namespace": home}}
    if draw.random() < 0.4:
        leading["match"] = [block(draw)]
    routes = root["spec"].setdefault("http", [])
    routes.insert(draw.randint(0, len(routes)), leading)
    return root


def service_entry(draw: random.Random, number: int, *, sure: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "hosts": [OUTSIDE if sure else draw.choice([OUTSIDE, TARGET])],
        "ports": [{"number": SURE if sure else draw.choice([80, 9080]), "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"http": 9}}],
    }
    export = draw.choice([None, ["*"], ["."], ["staging"]])
    if export is not None:
        spec["exportTo"] = export
    return named("ServiceEntry", f"se-{number}", draw.choice(PLACES), draw, spec)


EGRESS = [
    ["./*"], ["./*", "istio-system/*"], ["*/*"], ["staging/*"], ["./*", "production/*"], [f"*/{TARGET}"],
    ["*/*.staging.svc.cluster.local"], ["~/*"], [f"./{TARGET}"], ["qa/*", "production/*"],
]  # fmt: skip


def sidecar(draw: random.Random, number: int, *, sure: bool) -> dict[str, Any]:
    namespace = draw.choice(("staging", *PLACES, ROOT))
    spec: dict[str, Any] = {"egress": [{"hosts": list(draw.choice(EGRESS))}]}
    if not sure and draw.random() < 0.3:
        port = {"number": draw.choice([80, 9080]), "protocol": "HTTP", "name": "e"}
        spec["egress"].insert(0, {"port": port, "hosts": list(draw.choice(EGRESS))})
    if namespace != ROOT and draw.random() < 0.4:
        spec["workloadSelector"] = {"labels": {"app": draw.choice(["order", "web"])}}
    elif draw.random() < 0.1:
        spec["workloadSelector"] = {}
    return named("Sidecar", f"sidecar-{number}", namespace, draw, spec)


# --- candidates --------------------------------------------------------------------------------------------------------


def tampered(draw: random.Random, mesh: Mesh, experiment: Experiment, injection: Injection) -> Injection:
    """The object as a bug of ours, or an attacker, might make it: one that the webhook takes."""
    for _ in range(20):
        made = _tampered(draw, mesh, experiment, injection)
        if taken({"kind": "VirtualService", **made.after}):
            return made
    return injection


def _tampered(draw: random.Random, mesh: Mesh, experiment: Experiment, injection: Injection) -> Injection:
    what = draw.choice(["export", "hosts", "gateways", "destination", "match", "theirs", "theirs", "delegate"])
    if what == "theirs" and mesh.virtual_services:
        made = into_theirs(draw.choice(mesh.virtual_services), experiment)
        if made is not None:
            return made
    after = copy.deepcopy(dict(injection.after))
    spec = after["spec"]
    if what == "export":
        spec["exportTo"] = draw.choice(
            [["*"], ["production"], ["staging"], ["staging", "production"], [".", "qa"], ["~"], []]
        )
    elif what == "hosts":
        hosts = ["inventory.production.svc.cluster.local", "*.svc.cluster.local", "order", OUTSIDE]
        spec["hosts"] = [draw.choice(hosts)]
    elif what == "gateways":
        spec["gateways"] = draw.choice([[SHARED], [SHARED, "mesh"], [OWN], [OWN, "mesh"]])
        spec["exportTo"] = draw.choice([["*"], ["."], ["istio-system"]])
    elif what == "destination":
        spec["http"][0]["route"] = [{"destination": {"host": "inventory.production.svc.cluster.local"}}]
    elif what == "delegate" and injection.strategy is not Strategy.PATCH and not mesh.has("staging", "leaf"):
        spec.pop("hosts")
        spec["exportTo"] = draw.choice([["*"], ["."]])
        after["metadata"]["name"] = "leaf"
        return injection.model_copy(update={"after": after, "name": "leaf"})
    else:
        spec["http"][0]["match"] = [block(draw)]
    return injection.model_copy(update={"after": after})


def into_theirs(vs: dict[str, Any], experiment: Experiment) -> Injection | None:
    """The fault put into whichever VirtualService, as if its metadata.namespace were a guard."""
    if any("delegate" in one for one in vs["spec"].get("http") or [{"delegate": {}}]):
        return None
    try:
        after = put_in(
            vs,
            experiment.fault,
            run=RUN,
            name=own_name(RUN, experiment.target.service),
            scope=({},),
            labels={},
            annotations={},
        )
    except NotExpressible:
        return None
    meta = vs["metadata"]
    return Injection(
        strategy=Strategy.PATCH, namespace=meta["namespace"], name=meta["name"], before=vs, after=after,
        route_name=own_name(RUN, experiment.target.service),
        target=experiment.target,
        fault=experiment.fault,
    )  # fmt: skip
