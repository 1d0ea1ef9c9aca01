"""The rules about who would feel a fault, each with the mesh that breaks it and one that is right."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chaos.guard import Draft, check
from chaos.injection.strategy import choose
from chaos.istio.workloads import Workload
from chaos.model.audience import audience_of
from chaos.model.plan import Injection, Strategy
from chaos.model.settings import LAB
from chaos.model.situation import Situation
from chaos.values.remarks import Refusal
from tests.property.meshes import EXPIRES
from tests.support.drafts import broken, draft, with_spec
from tests.support.situations import experiment, namespace, service, situation, virtual_service

ORDER = Workload("order-svc", "staging", {"app": "order-svc"}, proxied=("order-1",))
WEB = Workload("web", "staging", {"app": "web"}, proxied=("web-1",))
DOOR = Workload("door", "staging", {"istio": "ingressgateway"}, proxied=("door-1",), gateway=True)


def sidecar(*hosts: str, ns: str = "staging", app: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"egress": [{"hosts": list(hosts)}]}
    if app:
        spec["workloadSelector"] = {"labels": {"app": app}}
    return {"metadata": {"name": f"sidecar-{app}", "namespace": ns}, "spec": spec}


def http_route(ns: str = "staging", **parent: str) -> dict[str, Any]:
    wanted = {"kind": "Service", "group": "", "name": "inventory-svc", **parent}
    return {"metadata": {"name": "route", "namespace": ns}, "spec": {"parentRefs": [wanted]}}


def labelled(obj: dict[str, Any], **labels: str) -> dict[str, Any]:
    meta = {**obj["metadata"], "labels": {**obj["metadata"].get("labels", {}), **labels}}
    return {**obj, "metadata": meta}


def waypoint(obj: dict[str, Any], name: str = "waypoint") -> dict[str, Any]:
    return labelled(obj, **{"istio.io/use-waypoint": name})


def namespaces(*found: dict[str, Any]) -> dict[str, Any]:
    return {"namespaces": {one["metadata"]["name"]: one for one in found}}


STAGING = namespace("staging", env="staging")
OTHER_REVISION = labelled(namespace("elsewhere"), **{"istio.io/rev": "canary"})
ALIAS = {"metadata": {"name": "inventory-svc", "namespace": "staging"}, "spec": {"type": "ExternalName", "externalName": "inventory-svc.production.svc.cluster.local"}}  # fmt: skip

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("not-readable", {"unreadable": ("list sidecars.networking.istio.io",)}),
    ("waypoint", {"services": [waypoint(service("inventory-svc")), service("order-svc")]}),
    ("waypoint", namespaces(waypoint(STAGING))),
    ("cluster-domain", {"workloads": [Workload("order-svc", "staging", {"app": "order-svc"}, proxied=("o-1",), domains=frozenset({"corp.example"}))]}),
    ("revisions-differ", {"default_exports": {"canary": (".",), "default": ("*",)}}),
    ("http-route", {"http_routes": [http_route()]}),
    ("http-route", {"http_routes": [http_route("production", namespace="staging")]}),
    ("http-route", {"http_routes": [http_route(kind="Hostname", group="networking.istio.io", name="inventory-svc.staging.svc.cluster.local")]}),
    ("hidden-from-callers", {"sidecars": [sidecar("istio-system/*")]}),
    ("hidden-from-callers", {"sidecars": [sidecar("~/*", app="order-svc")]}),
    ("hidden-from-callers", {"sidecars": [sidecar("istio-system/*", ns="istio-system")]}),
]  # fmt: skip
RIGHT: list[dict[str, Any]] = [
    {
        "workloads": [
            Workload(
                "order-svc", "staging", {"app": "order-svc"}, proxied=("o-1",), domains=frozenset({"cluster.local"})
            )
        ]
    },
    {"default_exports": {"canary": ("*",), "default": ("*",)}},
    {"services": [waypoint(service("inventory-svc"), "none"), service("order-svc")], **namespaces(waypoint(STAGING))},
    {"services": [service("inventory-svc"), waypoint(service("order-svc"))]},
    {"http_routes": [http_route(kind="Gateway", group="gateway.networking.k8s.io")]},
    {"http_routes": [http_route(name="order-svc")]},
    {"http_routes": [http_route("production")]},
    {"sidecars": [sidecar("./*", "istio-system/*")]},
    {"sidecars": [sidecar("*/inventory-svc.staging.svc.cluster.local")]},
    {"sidecars": [sidecar("~/*", app="web")]},
    {"sidecars": [sidecar("./*"), sidecar("~/*", ns="istio-system")]},
    {"calling": (("production", "order-svc"), ("unknown", "unknown"))},
]


@pytest.mark.parametrize(("rule", "changes"), REFUSED)
def test_what_would_hit_others_or_nobody_is_refused(rule: str, changes: dict[str, Any]) -> None:
    found = check(draft(situation(**changes)))
    assert [one.rule for one in found] == [rule]
    assert found[0].hint
    assert found[0].value in found[0].message


@pytest.mark.parametrize("changes", RIGHT)
def test_what_hits_the_callers_alone_is_allowed(changes: dict[str, Any]) -> None:
    assert broken(draft(situation(**changes))) == set()


def test_private_by_default_is_private_to_one_control_plane_only() -> None:
    """Without exportTo, what is private depends on the default of the revision that a proxy belongs to."""
    private = virtual_service()
    found = situation(private, default_exports={"default": (".",)})
    made = draft(found)
    assert made.injection is not None
    assert made.injection.strategy is Strategy.PATCH
    assert broken(made) == set()
    several = situation(private, default_exports={"default": (".",)}, **namespaces(STAGING, OTHER_REVISION))
    assert broken(draft(several)) == {"export-by-default"}
    canary = situation(private, default_exports={"canary": (".",)}, **namespaces(STAGING, OTHER_REVISION))
    assert broken(draft(canary)) == set()
    injected = labelled(namespace("more"), **{"istio-injection": "enabled"})
    both = situation(private, default_exports={"canary": (".",)}, **namespaces(STAGING, OTHER_REVISION, injected))
    assert broken(draft(both)) == {"export-by-default"}
    said = situation(
        virtual_service(exportTo=["."]), default_exports={"default": (".",)}, **namespaces(STAGING, OTHER_REVISION)
    )
    assert broken(draft(said)) == set()


def test_the_meshs_default_counts_as_exportto() -> None:
    made = draft(situation(virtual_service(), default_exports={"default": (".",)}))
    public = Draft(
        experiment=made.experiment, situation=situation(virtual_service()), settings=LAB, injection=made.injection
    )
    assert "export-outside" in broken(public)


def test_a_route_of_grpc_is_named_as_such() -> None:
    [found] = check(draft(situation(http_routes=[{**http_route(), "kind": "GRPCRoute"}])))
    assert "the GRPCRoute staging/route routes the target's requests" in found.message


def test_a_delegate_is_refused_with_its_roots() -> None:
    http = [{"delegate": {"name": "chaos", "namespace": "staging"}}]
    root = virtual_service("root", "production", hosts=["shop.example"], http=http)
    made = with_spec(hosts=[])
    assert made.injection is not None
    after = copy.deepcopy(dict(made.injection.after))
    after["metadata"]["name"] = "chaos"
    found = check(
        Draft(
            experiment=made.experiment,
            situation=situation(root),
            settings=LAB,
            injection=made.injection.model_copy(update={"after": after}),
        )
    )
    assert [one.rule for one in found] == ["delegate-reached", "hidden-from-callers"]
    assert "production/root" in found[0].message


def test_a_root_that_governs_is_refused_with_its_delegates() -> None:
    root = virtual_service(http=[{"delegate": {"name": "leaf", "namespace": "production"}}])
    leaf = virtual_service("leaf", "production", hosts=None)
    found = choose(experiment(), situation(root, leaf), run="r1", expires=EXPIRES)
    assert isinstance(found, Refusal)
    assert (found.rule, found.value) == ("delegate", "production/leaf")


def test_a_root_whose_delegates_are_missing_does_not_govern() -> None:
    root = virtual_service(http=[{"delegate": {"name": "leaf", "namespace": "production"}}])
    found = choose(experiment(), situation(root), run="r1", expires=EXPIRES)
    assert isinstance(found, Injection)
    assert found.strategy is Strategy.CREATE


HERE = {"route": [{"destination": {"host": "inventory-svc"}}]}


@pytest.mark.parametrize(
    ("match", "rules"),
    [
        ({"gateways": ["mesh"], "sourceLabels": {"app": "order-svc"}}, {"selectors-ignored"}),
        ({"gateways": ["mesh"], "sourceNamespace": "staging"}, {"selectors-ignored", "scope-wider"}),
        ({"sourceLabels": {"app": "web"}}, {"scope-wider", "hidden-from-callers"}),
        ({"uri": {"prefix": "/"}}, {"scope-wider"}),
        ({"sourceLabels": {"app": "order-svc", "version": "v1"}}, {"hidden-from-callers"}),
    ],
)
def test_a_match_that_asks_for_less_than_was_declared_is_refused(match: dict[str, Any], rules: set[str]) -> None:
    assert broken(with_spec(http=[{**HERE, "name": "chaos-r1-inventory-svc", "match": [match]}])) == rules


def test_a_fault_for_our_load_alone_asks_for_its_mark() -> None:
    made = draft(onlyOurLoad=True)
    assert broken(made) == set()
    assert made.injection is not None
    after = copy.deepcopy(dict(made.injection.after))
    for route in after["spec"]["http"]:
        for match in route.get("match") or ():
            match.pop("headers", None)
    tampered = made.injection.model_copy(update={"after": after})
    assert broken(Draft(experiment=made.experiment, situation=made.situation, settings=LAB, injection=tampered)) == {
        "scope-wider"
    }


@pytest.mark.parametrize(
    ("calling", "export", "refused"),
    [
        (("production", "order-svc"), ["."], False),
        (("production", "order-svc"), ["*"], True),
        (("production", "order-svc"), ["staging", "production"], True),
        (("production", "order-svc"), ["staging", "qa"], False),
        (("unknown", "unknown"), ["."], False),
        (("unknown", "unknown"), ["staging", "qa"], True),
        (("", ""), ["*"], True),
        (("staging", "order-svc"), ["*"], False),
    ],
)
def test_who_calls_by_the_metrics_is_held_against_who_would_see_it(
    calling: tuple[str, str], export: list[str], refused: bool
) -> None:
    made = with_spec(exportTo=export)
    known = situation(calling=(calling,))
    rules = broken(Draft(experiment=made.experiment, situation=known, settings=LAB, injection=made.injection))
    assert ("caller-outside" in rules) == refused


def test_a_write_that_is_not_tied_to_what_was_checked_is_refused() -> None:
    theirs = virtual_service(exportTo=["."])
    theirs["metadata"]["resourceVersion"] = "7"
    made = draft(situation(theirs))
    assert made.injection is not None
    assert made.injection.after["metadata"]["resourceVersion"] == "7"
    assert broken(made) == set()
    after = copy.deepcopy(dict(made.injection.after))
    after["metadata"]["resourceVersion"] = "8"
    tampered = made.injection.model_copy(update={"after": after})
    found = Draft(experiment=made.experiment, situation=made.situation, settings=LAB, injection=tampered)
    assert broken(found) == {"version-not-checked"}


def choice(found: Situation, **target: Any) -> Injection | Refusal:
    return choose(experiment(**target), found, run="r1", expires=EXPIRES)


def test_callers_whose_sidecars_see_different_virtualservices_are_not_taken_for_one() -> None:
    public = virtual_service(ns="production", hosts=["inventory-svc.staging.svc.cluster.local"])
    apart = situation(public, workloads=[ORDER, WEB], sidecars=[sidecar("./*", app="web")])
    for callers in (None, {"app": "order-svc"}, {"app": "web"}):
        found = choice(apart, callers=callers)
        assert isinstance(found, Refusal), callers
        assert found.rule == "callers-differ"
    hidden = situation(public, workloads=[ORDER, WEB], sidecars=[sidecar("~/*", app="web")])
    found = choice(hidden, callers={"app": "order-svc"})
    assert isinstance(found, Injection), "web does not see the copy"
    assert found.strategy is Strategy.OVERLAY


def test_what_the_callers_sidecar_does_not_import_does_not_govern() -> None:
    public = virtual_service(ns="production", hosts=["inventory-svc.staging.svc.cluster.local"])
    found = choice(situation(public, sidecars=[sidecar("./*")]))
    assert isinstance(found, Injection)
    assert (found.strategy, found.before) == (Strategy.CREATE, None)


def test_a_virtualservice_without_a_route_for_the_callers_is_passed_over() -> None:
    first = virtual_service("first", http=[{**HERE, "match": [{"sourceNamespace": "production"}]}])
    second = virtual_service("second", created="2026-02-01T00:00:00Z")
    found = choice(situation(first, second))
    assert isinstance(found, Injection)
    assert found.before is not None
    assert found.before["metadata"]["name"] == "second"


def test_a_route_that_nobody_can_follow_does_not_count_as_leading_out() -> None:
    out = {"route": [{"destination": {"host": "inventory-svc.production.svc.cluster.local"}}]}
    for dead in (
        [{**out, "match": [{"sourceNamespace": "production"}]}, HERE],
        [HERE, out],
        [{**HERE, "match": [{"uri": {"prefix": "/a"}}]}, {**out, "match": [{"uri": {"prefix": "/a/b"}}]}, HERE],
    ):
        assert broken(draft(situation(virtual_service(http=dead)))) == set()
    for alive in (
        [{**out, "match": [{"sourceNamespace": "staging"}]}, HERE],
        [{**HERE, "match": [{"uri": {"prefix": "/a/b"}}]}, {**out, "match": [{"uri": {"prefix": "/a"}}]}, HERE],
        [{**HERE, "match": [{"headers": {"x": {"exact": "1"}}}]}, out],
    ):
        assert broken(draft(situation(virtual_service(http=alive)))) == {"destination-outside"}


def test_the_audience_names_who_would_feel_it() -> None:
    made = draft(situation(workloads=[ORDER, WEB, DOOR], sidecars=[sidecar("~/*", app="web")]))
    assert made.injection is not None
    found = audience_of(made.injection.after, made.situation)
    assert found.exported == ("staging",)
    assert ([w.name for w in found.workloads], [w.name for w in found.hidden]) == (["order-svc"], ["web"])
    assert (found.gateways, found.roots) == ((), ())
    assert found.reaches("staging")
    assert not found.reaches("production")


def test_an_alias_is_no_target_and_no_destination() -> None:
    """Whatever its namespace, an ExternalName leads to where it says."""
    assert broken(draft(situation(services=[ALIAS, service("order-svc")]))) == {
        "target-is-alias",
        "destination-outside",
    }
    other = {**ALIAS, "metadata": {"name": "old", "namespace": "staging"}}
    leading = virtual_service(http=[{"route": [{"destination": {"host": "old"}}]}])
    found = check(draft(situation(leading, services=[service("inventory-svc"), service("order-svc"), other])))
    assert [one.rule for one in found] == ["destination-outside"]
    assert "ExternalName" in found[0].message
