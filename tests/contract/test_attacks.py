"""Attempts to get a fault out of staging, by malice or by accident. Each is refused, and for the right reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.experiment_file import DocumentError, parse_experiment
from chaos.adapters.settings_file import read_settings
from chaos.errors import InputError
from chaos.lab.api.resources import CONFIG_MAPS, NAMESPACES, SERVICES, SIDECARS, VIRTUAL_SERVICES
from chaos.model.settings import Caps, Settings
from tests.contract.attacked import HOST, STAGING, Cluster, written
from tests.support.api_server import ApiServer, kubeconfig
from tests.survival.proxy import Call
from tests.survival.world import World


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.server.stop()


def nothing(cluster: Cluster) -> None:
    """The cluster as it is."""


def delegated_to_production(cluster: Cluster) -> None:
    cluster.route("x", "production", hosts=[])
    cluster.route(http=[{"delegate": {"name": "x", "namespace": "production"}}])


def private_by_default(cluster: Cluster) -> None:
    """As one of two control planes has it."""
    cluster.mesh_config("defaultVirtualServiceExportTo: ['.']")
    cluster.route()
    revision: dict[str, Any] = {"istio.io/rev": "canary"}
    cluster.namespace("canary", **revision)


ATTACKS: dict[str, tuple[str, Callable[[Cluster], object], Settings, str]] = {
    "production by name": (written("production"), nothing, STAGING, "namespace-not-allowed"),
    "production, listed by mistake, without the label": (written("production"), nothing, Settings(namespaces=("production",)), "namespace-not-labelled"),
    "a namespace renamed to look like staging": (written("staging-prod"), lambda c: c.namespace("staging-prod", env="staging"), STAGING, "namespace-not-allowed"),
    "a namespace that says production and is listed": (written("qa"), lambda c: c.namespace("qa", env="production"), Settings(namespaces=("qa",)), "namespace-not-labelled"),
    "a label of another case": (written("qa"), lambda c: c.namespace("qa", env="Staging"), Settings(namespaces=("qa",)), "namespace-not-labelled"),
    "a label under another key": (written("qa"), lambda c: c.namespace("qa", environment="staging"), Settings(namespaces=("qa",)), "namespace-not-labelled"),
    "only one of two labels": (written("staging"), nothing, Settings(namespaces=("staging",), labels={"env": "staging", "chaos": "yes"}), "namespace-not-labelled"),
    "a namespace that is not there": (written("nowhere"), nothing, Settings(namespaces=("nowhere",)), "namespace-not-found"),
    "the mesh's root": (written("istio-system"), lambda c: c.namespace("istio-system", env="staging"), Settings(namespaces=("istio-system",)), "root-namespace"),
    "another root, as configured": (written("mesh"), lambda c: c.namespace("mesh", env="staging"), Settings(namespaces=("mesh",), root_namespace="mesh"), "root-namespace"),
    "kube-system": (written("kube-system"), nothing, STAGING, "namespace-not-allowed"),
    "no settings at all": (written("staging"), nothing, Settings(), "namespace-not-allowed"),
    "another cluster": (written("staging"), nothing, Settings(namespaces=("staging",), clusters=("the-real-one",)), "cluster-not-configured"),
    "frozen for a release": (written("staging"), lambda c: c.namespace("staging", env="staging", annotations={"chaos-harness.dev/frozen": "release"}), STAGING, "frozen"),
    "a service that is not there": (written(service="nothing-svc"), nothing, STAGING, "service-not-found"),
    "a service of production only": (written(service="vault"), lambda c: c.add(SERVICES, {"metadata": {"name": "vault", "namespace": "production"}, "spec": {}}), STAGING, "service-not-found"),
    "a wildcard that governs": (written(), lambda c: c.route(hosts=["*.staging.svc.cluster.local"]), STAGING, "wildcard-host"),
    "a wildcard over the mesh": (written(), lambda c: c.route(hosts=["*.cluster.local"]), STAGING, "wildcard-host"),
    "routes that lead to production": (written(), lambda c: c.route(http=[{"route": [{"destination": {"host": HOST}}]}]), STAGING, "destination-outside"),
    "a mirror to production": (written(), lambda c: c.route(http=[{"route": [{"destination": {"host": "inventory-svc"}}], "mirror": {"host": HOST}}]), STAGING, "destination-outside"),
    "one of many mirrors to production": (written(), lambda c: c.route(http=[{"route": [{"destination": {"host": "inventory-svc"}}], "mirrors": [{"destination": {"host": HOST}}]}]), STAGING, "destination-outside"),
    "one of two weights to production": (written(), lambda c: c.route(http=[{"route": [{"destination": {"host": "inventory-svc"}, "weight": 99}, {"destination": {"host": HOST}, "weight": 1}]}]), STAGING, "destination-outside"),
    "a half-qualified destination, which Istio takes literally": (written(), lambda c: c.route(http=[{"route": [{"destination": {"host": "inventory-svc.staging"}}]}]), STAGING, "destination-outside"),
    "a destination outside the cluster": (written(), lambda c: c.route(http=[{"route": [{"destination": {"host": "example.com"}}]}]), STAGING, "destination-outside"),
    "a delegate": (written(), delegated_to_production, STAGING, "delegate"),
    "a private one for several hosts": (written(), lambda c: c.route(exportTo=["."], hosts=["inventory-svc", HOST]), STAGING, "several-hosts"),
    "a private one at a shared gateway": (written(more=", callers: {app: order-svc}"), lambda c: c.route(exportTo=["."], gateways=["istio-system/shared", "mesh"]), STAGING, "gateway-and-source"),
    "a private one that a controller owns": (written(), lambda c: c.add(VIRTUAL_SERVICES, {"metadata": {"name": "canary", "namespace": "staging", "labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "spec": {"hosts": ["inventory-svc"], "exportTo": ["."], "http": [{"route": [{"destination": {"host": "inventory-svc"}}]}]}}), STAGING, "controller-owned"),
    "another run's fault": (written(), lambda c: c.add(VIRTUAL_SERVICES, {"metadata": {"name": "x", "namespace": "staging", "labels": {"chaos-harness.dev/run": "other"}}, "spec": {"hosts": ["inventory-svc"], "exportTo": ["."], "http": [{"route": [{"destination": {"host": "inventory-svc"}}]}]}}), STAGING, "already-injected"),
    "a port that is no HTTP": (written(service="db"), lambda c: c.add(SERVICES, {"metadata": {"name": "db", "namespace": "staging"}, "spec": {"ports": [{"name": "tcp-db", "port": 5432}]}}), STAGING, "port-not-http"),
    "a gRPC abort that HTTP takes for success": (written(fault="abort: {percentage: 1, grpcStatus: UNAVAILABLE}"), nothing, STAGING, "grpc-abort-on-http"),
    "a waypoint, through which all of the mesh comes": (written(), lambda c: c.waypoint(), STAGING, "waypoint"),
    "a name that only stands for production's": (written(service="old"), lambda c: c.add(SERVICES, {"metadata": {"name": "old", "namespace": "staging"}, "spec": {"type": "ExternalName", "externalName": HOST}}), STAGING, "target-is-alias"),
    "a default of the mesh that makes it private, with a second control plane": (written(), private_by_default, STAGING, "export-by-default"),
    "an object that the API server would not take": (written(), lambda c: c.route(http=[{"timeout": "never", "route": [{"destination": {"host": "inventory-svc"}}]}]), STAGING, "rejected-by-api"),
    "a match that can't be joined with theirs": (written(more=", match: [{uri: {prefix: /a}}]"), lambda c: c.route(http=[{"match": [{"uri": {"regex": "/[ab]"}}], "route": [{"destination": {"host": "inventory-svc"}}]}]), STAGING, "match-not-expressible"),
    "callers that are not there": (written(more=", callers: {app: nobody}"), nothing, STAGING, "no-callers"),
    "more than the cap": (written(), nothing, Settings(namespaces=("staging",), caps=Caps(percentage=10)), "percentage-capped"),
    "a delay for a hundred hours": (written(fault="delay: {percentage: 1, fixedDelay: 100h}"), nothing, STAGING, "delay-capped"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_with_the_right_rule(cluster: Cluster, name: str) -> None:
    text, change, settings, rule = ATTACKS[name]
    change(cluster)
    version = cluster.server.store.version
    plan = cluster.plan(text, settings)
    assert not plan.allowed
    assert rule in [broken.rule for broken in plan.refusals]
    assert all(broken.message and broken.hint for broken in plan.refusals)
    assert cluster.server.store.version == version, "planning writes nothing"


def test_without_an_attack_it_is_allowed(cluster: Cluster) -> None:
    assert cluster.plan(written()).refusals == ()


WRONG_FILES = {
    "upper case": written("Staging"),
    "a Cyrillic letter": written("st\u0430ging"),
    "a zero-width space": written("staging\u200b"),
    "a full-width hyphen in a service": written(service="inventory\uff0dsvc"),
    "a space at the end": written("'staging '"),
    "two namespaces in one": written("'staging,production'"),
    "a path": written("staging/../production"),
    "a wildcard namespace": written("'*'"),
    "a wildcard service": written(service="'*'"),
    "a service by its full name elsewhere": written(service=HOST),
    "a half-qualified service": written(service="inventory-svc.production"),
    "a template that nobody filled in": written("'{{ namespace }}'"),
    "a variable that nobody filled in": written("${NAMESPACE}"),
    "a thousand percent": written(fault="abort: {percentage: 1e3, httpStatus: 503}"),
    "a little more than all": written(fault="abort: {percentage: 100.00001, httpStatus: 503}"),
    "infinitely many": written(fault="abort: {percentage: .inf, httpStatus: 503}"),
    "not a number": written(fault="abort: {percentage: .nan, httpStatus: 503}"),
    "a number of 400 digits": written(fault=f"abort: {{percentage: 1{'0' * 400}, httpStatus: 503}}"),
    "less than none": written(fault="abort: {percentage: -1, httpStatus: 503}"),
    "a status that Envoy rejects": written(fault="abort: {percentage: 1, httpStatus: 600}"),
    "gateways where none may be": written(more=", gateways: [shared]"),
    "an exportTo of its own": written(more=", exportTo: ['*']"),
    "the same key twice": written().replace("target:", "target: {namespace: staging, service: a}\ntarget:"),
    "two documents": written() + "---\n" + written("production"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_that_can_not_be_meant_is_an_error_with_its_place(name: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_experiment(WRONG_FILES[name], file="attack.yaml")
    assert str(caught.value).startswith("attack.yaml:")


def test_variables_do_not_widen_what_may_be_touched(tmp_path: Path) -> None:
    environment = {
        f"CHAOS_{name}": "production"
        for name in ("NAMESPACES", "NAMESPACE", "SETTINGS", "CONTEXT", "LABELS", "CLUSTERS")
    }
    assert read_settings(tmp_path, environment) == Settings()


def test_a_link_to_a_file_elsewhere_is_judged_by_what_it_says(tmp_path: Path, cluster: Cluster) -> None:
    (tmp_path / "elsewhere.yaml").write_text(written("production"))
    (tmp_path / "staging.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    plan = cluster.plan((tmp_path / "staging.yaml").read_text())
    assert "namespace-not-allowed" in [broken.rule for broken in plan.refusals]


@pytest.mark.parametrize(
    "text",
    ['namespaces = ["*"]', 'namespaces = ["prod*"]', 'namespaces = ["p?oduction"]', "labels = {}", "guard = false"],
)
def test_settings_that_would_switch_a_rule_off_are_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "chaos.toml").write_text(text)
    with pytest.raises(InputError):
        read_settings(tmp_path)


# --- while a run lasts -------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, "overlay")
    yield made
    made.close()


def relabel(world: World, **labels: str) -> None:
    world.api.store.replace(NAMESPACES, None, "staging", {"metadata": {"name": "staging", "labels": labels}})


def rewrite(world: World, **spec: Any) -> None:
    found = world.api.store.get(VIRTUAL_SERVICES, "staging", "inventory")
    world.api.store.replace(VIRTUAL_SERVICES, "staging", "inventory", {**found, "spec": {**found["spec"], **spec}})


def add(world: World, resource: Any, name: str, namespace: str, **content: Any) -> None:
    if world.api.store.find(NAMESPACES, None, namespace) is None:
        world.api.store.create(NAMESPACES, {"metadata": {"name": namespace}})
    world.api.store.create(resource, {"metadata": {"name": name, "namespace": namespace}, **content})


OTHERS = {"hosts": ["inventory-svc.staging.svc.cluster.local"], "http": [{"timeout": "9s", "route": [{"destination": {"host": "inventory-svc.staging.svc.cluster.local"}}]}]}  # fmt: skip
CHANGES: dict[str, Callable[[World], None]] = {
    "the staging label is taken off": lambda world: relabel(world),
    "the namespace becomes production": lambda world: relabel(world, env="production"),
    "the routes are pointed at production": lambda world: rewrite(
        world, http=[{"route": [{"destination": {"host": HOST}}]}]
    ),
    "the object becomes private": lambda world: rewrite(world, exportTo=["."]),
    "its routes change": lambda world: rewrite(world, http=[{"timeout": "7s", "route": [{"destination": {"host": "inventory-svc"}}]}]),
    "another takes precedence": lambda world: add(world, VIRTUAL_SERVICES, "first", "production", spec={**OTHERS, "exportTo": ["staging"]}),
    "it is bound to a gateway only": lambda world: rewrite(world, gateways=["istio-system/shared"]),
    "the mesh's default becomes private": lambda world: add(world, CONFIG_MAPS, "istio", "istio-system", data={"mesh": "defaultVirtualServiceExportTo: ['.']"}),
    "a Sidecar hides the object": lambda world: add(world, SIDECARS, "default", "istio-system", spec={"egress": [{"hosts": ["istio-system/*"]}]}),
    "a waypoint is put before the target": lambda world: relabel(world, env="staging", **{"istio.io/use-waypoint": "waypoint"}),
}  # fmt: skip


AFTER = ("the staging label is taken off", "its routes change", "a Sidecar hides the object")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", AFTER)
def test_what_changes_between_the_last_look_and_the_write_is_seen_right_after_it(world: World, name: str) -> None:
    """Kubernetes ties a creation to no other object, so the rules are asked once more when it is done."""
    done: list[str] = []

    def meanwhile(call: Call) -> None:
        if call.what == "POST virtualservices" and not call.dry and not done:
            done.append(name)
            CHANGES[name](world)

    world.proxy.after = meanwhile
    found = world.run(world.orders())
    assert done
    assert found["outcome"] != "passed", found
    assert any("target-changed" in reason for reason in found["reasons"]), found
    assert "injected" in found["marks"]
    assert "prove" not in found["phases"]
    assert "restored" in found["marks"]
    assert not world.leases()
    assert world.api.objects(VIRTUAL_SERVICES) == ["inventory"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_between_plan_and_write_is_seen_before_the_write(world: World, name: str) -> None:
    """Once the lease is taken, the world changes; the rules are asked again on what is live."""
    done: list[str] = []

    def meanwhile(call: Call) -> None:
        if call.what == "POST leases" and not done:
            done.append(name)
            CHANGES[name](world)

    world.proxy.after = meanwhile
    found = world.run(world.orders())
    assert done
    assert found["outcome"] == "inconclusive", found
    assert any("target-changed" in reason for reason in found["reasons"]), found
    assert "injected" not in found["marks"]
    assert not world.leases()


@pytest.mark.timeout(60)
def test_a_context_that_is_pointed_elsewhere_after_the_plan(world: World, tmp_path: Path) -> None:
    """The run's own client keeps its cluster; its watchdog reads the file anew, and refuses to watch another one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = ApiServer(elsewhere)
    try:
        watched = tmp_path / "watched"
        watched.write_text(kubeconfig(f"http://127.0.0.1:{other.address[1]}"))
        found = world.run(world.orders(watched=str(watched)))
        assert found["outcome"] == "inconclusive", found
        assert any("another cluster" in reason for reason in found["reasons"]), found
        assert world.is_clean()
        assert json.loads(json.dumps(other.left())) == []
    finally:
        other.stop()
