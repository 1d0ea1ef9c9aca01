"""Istio's configuration is changed for a while, and put back whatever happens meanwhile; in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chaos import (
    Abort,
    Expectation,
    Experiment,
    Harness,
    InputError,
    Load,
    MeshError,
    MetricsError,
    Refused,
    Request,
    Target,
)
from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.model.settings import Settings
from chaos.safety.sweep import sweep
from chaos.testing.shop import Shop
from chaos.values.series import Series
from tests.unit.engine.changes import POLICY, ROUTES, SLOWER, with_spec

ALLOWED = Settings(namespaces=("staging",), changes=("staging",))


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.mesh.put(ROUTES)
    return shop


def harness(shop: Shop, settings: Settings = ALLOWED, *, lab: bool = False) -> Harness:
    place = Place.of(shop.mesh, shop.metrics, settings, entry="http://shop.memory", lab=lab)
    return Harness(
        place, load=lambda: shop.load, probe=lambda: shop.probe, watchdog=lambda _watched, _folder: NoWatch(),
        clock=shop.clock, listeners=(),
    )  # fmt: skip


@pytest.fixture
def here(shop: Shop) -> Harness:
    return harness(shop)


def spec(shop: Shop) -> Mapping[str, Any]:
    found = shop.mesh.virtual_service("staging", "inventory")
    assert found is not None
    result: Mapping[str, Any] = found["spec"]
    return result


def notes(shop: Shop) -> object:
    found = shop.mesh.virtual_service("staging", "inventory")
    return found and found["metadata"].get("annotations")


def shop_is_changed(shop: Shop) -> bool:
    return bool(shop.mesh.objects("Lease"))


def write(shop: Shop, change: Callable[[dict[str, Any]], object]) -> None:
    """Somebody else's write."""
    obj: Any = shop.mesh.virtual_service("staging", "inventory")
    change(obj)
    shop.mesh.put(obj)


def test_a_spec_is_another_one_for_a_while(shop: Shop, here: Harness) -> None:
    with here.changed(SLOWER):
        assert spec(shop)["http"][0]["timeout"] == "9s"
        (change,) = here.active_changes()
        assert (str(change).partition("  ")[0], change.renewed) == (
            "VirtualService staging/inventory (changed for a while)", True,
        )  # fmt: skip
        assert here.active() == [], "a change is no fault"
        assert here.sweep() == [], "who lives is let alone"
    assert (spec(shop), notes(shop)) == (ROUTES["spec"], None)
    assert not shop_is_changed(shop)


def test_an_object_is_there_for_a_while_and_another_one_is_not(shop: Shop, here: Harness) -> None:
    with here.changed(POLICY, absent=[ROUTES]):
        assert shop.mesh.objects("AuthorizationPolicy")
        assert shop.mesh.virtual_services() == []
    assert shop.mesh.objects("AuthorizationPolicy") == []
    (back,) = shop.mesh.virtual_services()
    assert (back["spec"], back["metadata"]["labels"]) == (ROUTES["spec"], {"team": "stock"})


def test_yaml_will_do(shop: Shop, here: Harness) -> None:
    with here.changed(
        "kind: PeerAuthentication\nmetadata: {name: default, namespace: staging}\nspec: {mtls: {mode: STRICT}}"
    ):
        assert shop.mesh.objects("PeerAuthentication")[0]["spec"] == {"mtls": {"mode": "STRICT"}}
    assert shop.mesh.objects("PeerAuthentication") == []


def test_a_test_that_fails_puts_back_too(shop: Shop, here: Harness) -> None:
    with pytest.raises(ZeroDivisionError), here.changed(SLOWER):
        raise ZeroDivisionError
    assert spec(shop) == ROUTES["spec"]


def test_an_experiment_runs_meanwhile(shop: Shop, here: Harness) -> None:
    experiment = Experiment(
        "orders",
        target=Target("staging", "inventory-svc", callers={"app": "order-svc"}),
        faults=[Abort(percentage=50, http_status=503)],
        load=Load(rate=20, requests=[Request("/orders/42")]),
        steady_state=[Expectation("answered", service="order-svc", status="<500", at_least="90%")],
    )
    with here.changed(SLOWER):
        assert here.run(experiment).verdict.passed
        assert spec(shop) == SLOWER["spec"]
    assert spec(shop) == ROUTES["spec"]


# --- others ------------------------------------------------------------------------------------------------------------


def test_what_others_write_meanwhile_is_theirs(shop: Shop, here: Harness) -> None:
    said = "did not last until its end: somebody wrote VirtualService staging/inventory"
    with pytest.raises(MeshError, match=said), here.changed(SLOWER):
        write(shop, lambda vs: vs["spec"].update(hosts=["inventory-svc", "stock-svc"]))
    assert spec(shop) == {**ROUTES["spec"], "hosts": ["inventory-svc", "stock-svc"]}  # type: ignore[dict-item]


def test_what_others_made_of_our_part_stays(shop: Shop, here: Harness) -> None:
    theirs = [{"timeout": "4s", "route": [{"destination": {"host": "inventory-svc"}}]}]
    with pytest.raises(MeshError, match="did not last until its end"), here.changed(SLOWER):
        write(shop, lambda vs: vs["spec"].update(http=theirs))
    assert spec(shop)["http"] == theirs


def test_what_others_removed_stays_so(shop: Shop, here: Harness) -> None:
    with pytest.raises(MeshError, match="did not last until its end"), here.changed(SLOWER):
        shop.mesh.remove("VirtualService", "staging", "inventory")
    assert shop.mesh.virtual_services() == []
    assert not shop_is_changed(shop)


def test_what_we_made_and_others_wrote_stays(shop: Shop, here: Harness) -> None:
    with pytest.raises(MeshError, match="did not last until its end"), here.changed(POLICY):
        shop.mesh.put({**shop.mesh.objects("AuthorizationPolicy")[0], "spec": {"action": "DENY"}})
    (kept,) = shop.mesh.objects("AuthorizationPolicy")
    assert (kept["spec"], kept["metadata"].get("annotations")) == ({"action": "DENY"}, None)


def test_two_can_not_change_one_object(shop: Shop, here: Harness) -> None:
    with here.changed(SLOWER):
        with (
            pytest.raises(Refused, match="is held by run"),
            harness(shop).changed(with_spec(hosts=["x"], exportTo=["."])),
        ):
            pytest.fail("begun")
        assert spec(shop) == SLOWER["spec"]
    assert spec(shop) == ROUTES["spec"]


def test_one_that_is_swept_says_that_it_was_not_there(shop: Shop, here: Harness) -> None:
    told: list[str] = []
    with pytest.raises(MeshError, match="the lease of VirtualService staging/inventory was lost"), here.changed(SLOWER):
        told += [f"{one} {spec(shop)}" for one in sweep(shop.mesh, namespaces=("staging",), everything=True)]
    assert told[0].startswith("put back VirtualService staging/inventory (run ")
    assert told[0].endswith(str(ROUTES["spec"]))
    assert spec(shop) == ROUTES["spec"]


# --- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifest", "settings", "rule"),
    [
        (SLOWER, Settings(namespaces=("staging",)), "changes-not-allowed"),
        (SLOWER, Settings(namespaces=("team-a-*",), changes=("staging",)), "namespace-not-allowed"),
        (SLOWER, Settings(namespaces=("staging",), changes=("staging",), labels={"env": "test"}), "namespace-not-labelled"),
        ({**POLICY, "metadata": {"name": "deny-all", "namespace": "istio-system"}}, ALLOWED, "namespace-not-allowed"),
        (with_spec(http=[{"fault": {"abort": {"httpStatus": 503}}, "route": ROUTES["spec"]["http"][0]["route"]}]), ALLOWED, "fault-in-change"),  # type: ignore[index]
        (with_spec(exportTo=["*"]), ALLOWED, "export-outside"),
        (with_spec(hosts=["payment.production.svc.cluster.local"]), ALLOWED, "host-outside"),
        (with_spec(http=[{"route": [{"destination": {"host": "ledger.production.svc.cluster.local"}}]}]), ALLOWED, "host-outside"),
        (with_spec(http=[{"route": [{"destination": {"host": "inventory-svc"}}], "mirror": {"host": "spy.example"}}]), ALLOWED, "host-outside"),
        (with_spec(gateways=["istio-system/shared"]), ALLOWED, "gateway-bound"),
        (with_spec(hosts=[]), ALLOWED, "delegate-reached"),
        ({"kind": "EnvoyFilter", "metadata": {"name": "x", "namespace": "staging"}}, ALLOWED, "kind-not-changed"),
        ({"kind": "Gateway", "metadata": {"name": "x", "namespace": "staging"}}, ALLOWED, "kind-not-changed"),
    ],
)  # fmt: skip
def test_the_staging_rules_hold(shop: Shop, manifest: Mapping[str, Any], settings: Settings, rule: str) -> None:
    before = shop.mesh.changes
    with pytest.raises(Refused, match=rule), harness(shop, settings).changed(manifest):
        pytest.fail("begun")
    assert shop.mesh.changes == before, "nothing was written"


def test_a_frozen_namespace_is_let_alone(shop: Shop, here: Harness) -> None:
    shop.mesh.annotate_namespace("staging", "chaos-harness.dev/frozen", "release day")
    with pytest.raises(Refused, match="frozen"), here.changed(SLOWER):
        pytest.fail("begun")


def test_an_object_of_a_controller_is_let_alone(shop: Shop, here: Harness) -> None:
    write(shop, lambda vs: vs["metadata"].update(labels={"argocd.argoproj.io/instance": "shop"}))
    with pytest.raises(Refused, match="controller-owned"), here.changed(SLOWER):
        pytest.fail("begun")


def test_an_old_object_that_all_see_is_changed_if_nobody_else_calls(shop: Shop, here: Harness) -> None:
    public = {**ROUTES["spec"], "exportTo": ["*"]}  # type: ignore[dict-item]
    write(shop, lambda vs: vs.update(spec=public))
    with here.changed(with_spec(exportTo=["*"], http=SLOWER["spec"]["http"])):
        assert spec(shop)["http"][0]["timeout"] == "9s"
    assert spec(shop) == public


def test_an_old_object_that_all_see_is_let_alone_if_others_call(shop: Shop, here: Harness) -> None:
    write(shop, lambda vs: vs["spec"].update(exportTo=["*"]))
    labels = {"source_workload_namespace": "production", "source_workload": "billing"}
    shop.metrics.samples = lambda *asked, **options: [Series(labels=labels, samples=((0.0, 1.0),))]  # type: ignore[method-assign]
    change = with_spec(exportTo=["*"], http=SLOWER["spec"]["http"])
    with pytest.raises(
        Refused, match=r"caller-outside: .* these called its hosts in the last hour: production/billing"
    ):
        here.changed(change).__enter__()


def test_nothing_is_changed_while_nobody_can_tell_who_calls(shop: Shop, here: Harness) -> None:
    shop.metrics.lost = "Prometheus is gone"
    before = shop.mesh.changes
    with pytest.raises(MetricsError), here.changed(SLOWER):
        pytest.fail("begun")
    assert shop.mesh.changes == before


def test_what_is_not_there_can_not_be_away(here: Harness) -> None:
    with pytest.raises(InputError, match="no AuthorizationPolicy staging/deny-all"), here.changed(absent=[POLICY]):
        pytest.fail("begun")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("kind: Deployment", "expected one of Istio's objects, got kind 'Deployment'"),
        ("kind: VirtualService\nmetadata: {name: x}", "metadata.name and metadata.namespace"),
        ("", "there is none"),
        ("{", "expected YAML that can be read"),
        ("kind: Sidecar\nmetadata: {name: x, namespace: staging}\nspec: [1]", "expected a mapping as spec"),
    ],
)
def test_what_is_no_manifest_is_told(here: Harness, manifest: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        here.changed(manifest)
