"""To which hosts requests to a service may be sent: each fact for itself."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.destinations import destinations, leading_to
from chaos.istio.governing import Mesh
from chaos.istio.registry import registered
from chaos.istio.virtual_services import title
from tests.unit.istio.objects import obj, service

HOST = "order.staging.svc.cluster.local"
NAMESPACES = ("staging", "platform", "istio-system")


def to(*hosts: str, **weights: int) -> dict[str, Any]:
    parts = [{"destination": {"host": host}} for host in hosts]
    return {"route": [*parts, *({"destination": {"host": name}, "weight": share} for name, share in weights.items())]}


def vs(name: str = "order", namespace: str = "staging", **spec: Any) -> dict[str, Any]:
    return obj(name, namespace, **{"hosts": ["order"], "http": [to(primary=90, canary=10)], **spec})


def found(*virtual_services: dict[str, Any], services: Any = None, **mesh: Any) -> list[str]:
    """The names of the further destinations, without the domain; in the host's namespace without that, too."""
    there = [service("order")] if services is None else services
    made = Mesh(services=registered(there), virtual_services=virtual_services, **mesh)
    itself, *others = destinations(HOST, made, namespaces=NAMESPACES)
    assert itself == HOST
    return [one.removesuffix(".svc.cluster.local").removesuffix(".staging") for one in others]


def test_a_service_without_routes_is_counted_at_itself() -> None:
    assert found() == []
    assert found(vs(hosts=["payment"])) == []


def test_all_parts_of_a_split_that_get_requests() -> None:
    assert found(vs()) == ["canary", "primary"]
    assert found(vs(http=[to(primary=100, canary=0)])) == ["primary"]


def test_every_route_that_can_be_followed() -> None:
    for_testers = {**to("next"), "match": [{"headers": {"x-tester": {"exact": "yes"}}}]}
    unreachable = to("old")
    assert found(vs(http=[for_testers, to("primary"), unreachable])) == ["next", "primary"]


def test_a_copy_is_no_request_of_the_caller() -> None:
    assert found(vs(http=[{**to("primary"), "mirror": {"host": "shadow"}, "mirrors": [to("copy")["route"][0]]}])) == [
        "primary"
    ]


def test_routes_of_delegates() -> None:
    root = vs(http=[{"match": [{"uri": {"prefix": "/"}}], "delegate": {"name": "routes", "namespace": "platform"}}])
    leaf = obj("routes", "platform", http=[to("primary", canary=5)])
    assert found(root, leaf) == ["canary.platform"]  # of two parts, that without a weight gets nothing


def test_routes_for_callers_with_labels_that_nobody_knows() -> None:
    routed = {**to("next"), "match": [{"sourceLabels": {"app": "web"}}]}
    assert found(vs(http=[routed, to("order")])) == ["next"]


def test_routes_that_callers_of_another_namespace_alone_have() -> None:
    own = vs("theirs", "platform", hosts=[HOST], exportTo=["."], http=[to("copy.platform.svc.cluster.local")])
    assert found(own) == ["copy.platform"]


def test_what_never_governs_leads_nowhere() -> None:
    younger = vs("younger", http=[to("other")], day=2)
    assert found(vs(http=[to("primary")]), {**younger, "spec": {**younger["spec"]}}) == ["primary"]


def test_a_wildcard_and_another_name_of_the_service() -> None:
    assert found(vs(hosts=["*.staging.svc.cluster.local"], http=[to("all")])) == ["all"]
    assert found(vs(hosts=["order.staging"], http=[to("by-name")])) == ["by-name"]


def test_a_gateway_that_has_just_this_host() -> None:
    bound: dict[str, Any] = {"gateways": ["istio-system/public"], "http": [to(stable=50, canary=50)]}
    assert found(vs(hosts=[HOST], **bound)) == ["canary", "stable"]
    assert found(vs(hosts=["shop.example.com"], **bound)) == []


def test_objects_without_http_routes_lead_nowhere() -> None:
    tcp = vs("tcp", hosts=[HOST], gateways=["istio-system/public"], http=None, tcp=[])
    root = vs(http=[{"delegate": {"name": "routes"}}])
    empty = {"metadata": {"name": "routes", "namespace": "staging"}, "spec": {}}
    assert found(tcp) == []
    assert found(root, empty) == []


def test_a_host_outside_by_a_service_entry() -> None:
    assert found(vs(http=[to("api.example.com")])) == ["api.example.com"]


def test_an_external_name_is_counted_at_what_it_is_another_name_of() -> None:
    alias = {
        "metadata": {"name": "order", "namespace": "staging"},
        "spec": {"type": "ExternalName", "externalName": "order.platform.svc.cluster.local"},
    }
    assert found(services=(alias,)) == ["order.platform"]
    theirs = vs("theirs", "platform", http=[to(stable=90, canary=10)])
    assert found(theirs, services=(alias,)) == ["canary.platform", "order.platform", "stable.platform"]


def test_a_service_that_may_not_be_read_has_the_ports_that_its_routes_speak_of() -> None:
    routed = {**to("primary"), "match": [{"port": 9080}]}
    assert found(vs(http=[routed]), services=()) == ["primary"]


@pytest.mark.parametrize(("host", "parts"), [("stable", ["stable", "canary"]), ("order", []), ("elsewhere", [])])
def test_which_other_names_lead_to_a_host(host: str, parts: list[str]) -> None:
    shop = obj("shop", hosts=["shop.example.com"], gateways=["public"], http=[to(stable=100, canary=0)])
    found = list(leading_to(f"{host}.staging.svc.cluster.local", [shop, vs(hosts=[host], http=[to(host)])]))
    assert [title(one) for one, _ in found] == ["staging/shop"] * bool(parts)
    assert [one.partition(".")[0] for _, hosts in found for one in hosts] == parts
