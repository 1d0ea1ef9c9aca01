"""What a proxy is told: which VirtualService governs, and what its routes become."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chaos.istio.destination_rules import DestinationRules
from chaos.lab.istio.clusters import clusters
from chaos.lab.istio.faults import FAULT_FILTER
from chaos.lab.istio.ingress import ingress_routes
from chaos.lab.istio.outbound import outbound_routes
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.service_entries import services_of
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot
from tests.support.lab_services import lab_service

HOST = "inventory-svc.staging.svc.cluster.local"


def proxy(namespace: str = "staging", **labels: str) -> Proxy:
    return Proxy(
        pod="p", namespace=namespace, kind="sidecar", labels=labels or {"app": "order-svc"}, workload="order-svc",
        app="order-svc", version="v1", service_account="default", ip="127.20.0.1", inbound={8080: 40000}, directory=Path(),
    )  # fmt: skip


def service(name: str = "inventory-svc", namespace: str = "staging", port: Port | None = None) -> Service:
    port = port or Port(8080, "http", "http")
    ends = tuple(Endpoint(f"127.20.1.{n}", 8080, {"version": f"v{n}"}, {"workload": name}) for n in (1, 2))
    return lab_service(name, (port,), {port.number: ends}, namespace=namespace)


def vs(
    name: str = "a", namespace: str = "staging", created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> dict[str, Any]:
    spec.setdefault("hosts", ["inventory-svc"])
    spec.setdefault("http", [{"name": name, "route": [{"destination": {"host": "inventory-svc"}}]}])
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": created}, "spec": spec}


def routes(*objects: dict[str, Any], caller: Proxy | None = None, of: Service | None = None) -> list[dict[str, Any]]:
    found = outbound_routes(caller or proxy(), Snapshot(services=(of or service(),), virtual_services=objects))
    (host,) = [one for one in found["virtual_hosts"] if one["name"] == f"{HOST}:8080"]
    routes_: list[dict[str, Any]] = host["routes"]
    return routes_


def governed_by(*objects: dict[str, Any], caller: Proxy | None = None) -> str:
    return str(routes(*objects, caller=caller)[0]["name"])


def test_without_a_virtual_service_requests_go_to_the_service() -> None:
    (route,) = routes()
    assert route["name"] == "default"
    assert route["route"]["cluster"] == f"outbound|8080||{HOST}"
    assert route["route"]["timeout"] == "0s"
    assert "503" not in route["route"]["retry_policy"]["retry_on"], "out of the default since Istio 1.24"


def test_a_service_entry_answers_to_all_of_its_addresses() -> None:
    """As the harness takes it, too: what a name leads to is decided in one place."""
    entry = {
        "metadata": {"name": "api", "namespace": "staging"},
        "spec": {
            "hosts": ["api.example.com"],
            "addresses": ["10.1.0.1", "10.1.0.2"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        },
    }
    found = outbound_routes(proxy(), Snapshot(services=tuple(services_of(entry))))["virtual_hosts"]
    assert {"10.1.0.1", "10.1.0.2"} <= set(found[0]["domains"])


def test_private_beats_exported_beats_public_whatever_their_age() -> None:
    public = vs("public", created="2020-01-01T00:00:00Z")
    exported = vs("exported", namespace="other", created="2021-01-01T00:00:00Z", hosts=[HOST], exportTo=["staging"])
    private = vs("private", created="2022-01-01T00:00:00Z", exportTo=["."])
    assert governed_by(public, exported, private) == "private"
    assert governed_by(public, exported) == "exported"
    assert governed_by(public) == "public"


def test_the_oldest_wins_and_nothing_is_merged() -> None:
    older, younger = vs("older", created="2020-01-01T00:00:00Z"), vs("younger")
    assert [route["name"] for route in routes(younger, older)] == ["older"]


def test_a_private_one_of_another_namespace_is_not_seen() -> None:
    elsewhere = vs("elsewhere", namespace="other", hosts=[HOST], exportTo=["."])
    assert governed_by(elsewhere) == "default"
    assert governed_by(vs("everywhere", namespace="other", hosts=[HOST])) == "everywhere"
    assert governed_by(vs("nobody", exportTo=["~"])) == "default"


def test_one_without_a_route_for_this_caller_is_skipped() -> None:
    picky = vs("picky", created="2020-01-01T00:00:00Z", http=[
        {"name": "picky", "match": [{"sourceLabels": {"app": "other"}}], "route": [{"destination": {"host": "x"}}]}
    ])  # fmt: skip
    assert governed_by(picky, vs("next")) == "next"
    assert governed_by(picky, vs("next"), caller=proxy(app="other")) == "picky"


def test_gateways_in_a_match_hide_its_source_selectors() -> None:
    match = [{"gateways": ["mesh"], "sourceLabels": {"app": "other"}}]
    assert (
        governed_by(vs("odd", http=[{"name": "odd", "match": match, "route": [{"destination": {"host": "x"}}]}]))
        == "odd"
    )


def routed(http: dict[str, Any], *rules: dict[str, Any]) -> dict[str, Any]:
    """The one route of a VirtualService with this one."""
    snapshot = Snapshot(
        services=(service(), service("order-svc", port=Port(9080, "http", "http"))),
        virtual_services=(vs(http=[http]),),
        destination_rules=DestinationRules(rules),
    )
    hosts = outbound_routes(proxy(), snapshot)["virtual_hosts"]
    (found,) = next(host["routes"] for host in hosts if host["name"] == f"{HOST}:8080")
    return dict(found)


def to(host: str = "inventory-svc", **more: Any) -> dict[str, Any]:
    return {"destination": {"host": host}, **more}


def test_a_destination_without_port_is_asked_at_the_port_of_the_request() -> None:
    assert routed({"route": [to("order-svc")]})["route"]["cluster"].startswith("outbound|8080||order-svc"), "503 NC"


def test_a_retry_stays_with_the_host_that_hashing_chose() -> None:
    by = {"loadBalancer": {"consistentHash": {"useSourceIp": True}}}
    rule = {"metadata": {"name": "r", "namespace": "staging"}, "spec": {"host": "inventory-svc", "trafficPolicy": by}}
    assert "retry_host_predicate" in routed({"route": [to()]})["route"]["retry_policy"]
    assert "retry_host_predicate" not in routed({"route": [to()]}, rule)["route"]["retry_policy"]
    elsewhere = {"route": [to()], "retries": {"attempts": 1, "retryIgnorePreviousHosts": True}}
    assert "retry_host_predicate" in routed(elsewhere, rule)["route"]["retry_policy"]


def test_of_several_destinations_those_without_weight_do_not_count() -> None:
    headers = {"request": {"set": {"x-a": "1", "Host": "x.example"}, "remove": ["host", "x-b"]}}
    (one,) = routed({"route": [to(weight=100, headers=headers), to("order-svc", weight=0)]})["route"][
        "weighted_clusters"
    ]["clusters"]
    assert one["weight"] == 100
    assert [option["header"]["key"] for option in one["request_headers_to_add"]] == ["x-a"]
    assert one["request_headers_to_remove"] == ["x-b"]
    assert one["host_rewrite_literal"] == "x.example"


def test_a_host_header_is_a_rewrite_of_the_host() -> None:
    def rewritten(**more: Any) -> str:
        return str(routed({"route": [to()], **more})["route"].get("host_rewrite_literal"))

    headers = {"request": {"set": {"host": "a.example"}}}
    assert rewritten(headers=headers) == "a.example"
    assert "request_headers_to_add" not in routed({"route": [to()], "headers": headers})
    assert rewritten(headers=headers, rewrite={"authority": "b.example"}) == "b.example"
    assert rewritten(headers=headers, route=[to(headers={"request": {"add": {":authority": "c"}}})]) == "a.example"


def test_a_deadline_of_grpc_is_no_longer_than_the_timeout() -> None:
    assert routed({"route": [to()], "timeout": "1m"})["route"]["max_grpc_timeout"] == "60s"
    assert routed({"route": [to()]})["route"]["max_grpc_timeout"] == "0s"


def test_what_comes_after_a_route_for_everything_is_left_out() -> None:
    first = {"name": "first", "match": [{"uri": {"prefix": "/"}}, {"uri": {"prefix": "/a"}}], "route": [to()]}
    assert [route["name"] for route in routes(vs(http=[first, {"name": "second", "route": [to()]}]))] == ["first"]


def test_a_headless_service_has_names_for_its_pods_and_one_is_taken_at_random() -> None:
    known = service()
    headless = dataclasses.replace(known, registered=dataclasses.replace(known.registered, addresses=(), headless=True))
    snapshot = Snapshot(services=(headless,))
    any_pod, one_pod, *_ = outbound_routes(proxy(), snapshot)["virtual_hosts"]
    assert f"{HOST}:8080" in any_pod["domains"]
    assert f"*.{HOST}:8080" in one_pod["domains"]
    assert one_pod["routes"] == any_pod["routes"]
    assert "None:8080" not in (*any_pod["domains"], *one_pod["domains"])
    assert clusters(proxy(), snapshot)[0]["lb_policy"] == "RANDOM"


def test_a_dotted_host_is_taken_literally() -> None:
    assert governed_by(vs("dotted", hosts=["inventory-svc.staging"])) == "default"


def test_the_short_name_is_for_callers_of_the_namespace() -> None:
    found = outbound_routes(proxy(), Snapshot(services=(service(),)))["virtual_hosts"][0]["domains"]
    assert "inventory-svc:8080" in found
    far = outbound_routes(proxy("other"), Snapshot(services=(service(),)))["virtual_hosts"][0]["domains"]
    assert "inventory-svc:8080" not in far
    assert "inventory-svc.staging:8080" in far


def test_a_port_that_is_not_http_has_no_faults() -> None:
    faulty = vs(
        "faulty",
        http=[{"name": "faulty", "fault": {"abort": {"httpStatus": 500}}, "route": [{"destination": {"host": "x"}}]}],
    )
    assert routes(faulty, of=service(port=Port(8080, "tcp-db", "tcp")))[0]["name"] == "default"


def test_a_port_that_is_not_http_has_a_virtual_host_all_the_same() -> None:
    """The lab's applications know their sidecar as an HTTP proxy alone."""
    found = outbound_routes(proxy(), Snapshot(services=(service(port=Port(5432, "tcp-db", "tcp")),)))["virtual_hosts"]
    assert "inventory-svc:5432" in next(host["domains"] for host in found if host["name"] == f"{HOST}:5432")


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ({"abort": {"httpStatus": 503, "percentage": {"value": 50}}}, {"abort": {"http_status": 503, "percentage": {"numerator": 500000, "denominator": "MILLION"}}}),
        ({"abort": {"httpStatus": 503, "percentage": {"value": 0.57}}}, {"abort": {"http_status": 503, "percentage": {"numerator": 5699, "denominator": "MILLION"}}}),
        ({"abort": {"httpStatus": 503}}, {"abort": {"http_status": 503}}),
        ({"delay": {"fixedDelay": "500ms", "percentage": {}}}, {"delay": {"fixed_delay": "0.5s", "percentage": {"numerator": 0, "denominator": "MILLION"}}}),
        ({"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 1}}}, {"abort": {"grpc_status": 14, "percentage": {"numerator": 10000, "denominator": "MILLION"}}}),
        ({"delay": {"fixedDelay": "3s", "percentage": {"value": 30}}}, {"delay": {"fixed_delay": "3s", "percentage": {"numerator": 300000, "denominator": "MILLION"}}}),
        ({"delay": {"fixedDelay": "3s", "percent": 5}}, {"delay": {"fixed_delay": "3s", "percentage": {"numerator": 50000, "denominator": "MILLION"}}}),
        ({"delay": {"percentage": {"value": 30}}}, None),
        ({"abort": {"percentage": {"value": 30}}}, None),
    ],
)  # fmt: skip
def test_faults(written: dict[str, Any], becomes: dict[str, Any] | None) -> None:
    (route,) = routes(vs(http=[{"fault": written, "route": [{"destination": {"host": "inventory-svc"}}]}]))
    found = route.get("typed_per_filter_config", {}).get(FAULT_FILTER)
    assert (None if found is None else {k: v for k, v in found.items() if k != "@type"}) == becomes


def test_weights_subsets_timeouts_retries_and_headers() -> None:
    http: dict[str, Any] = {
        "route": [
            {"destination": {"host": "inventory-svc", "subset": "v1"}, "weight": 90},
            {"destination": {"host": "inventory-svc", "subset": "v2"}, "weight": 10},
        ],
        "timeout": "3s",
        "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx,503"},
        "headers": {"request": {"set": {"x-a": "1"}}},
    }
    (route,) = routes(vs(http=[http]))
    parts = route["route"]["weighted_clusters"]["clusters"]
    assert [(part["name"], part["weight"]) for part in parts] == [
        (f"outbound|8080|v1|{HOST}", 90),
        (f"outbound|8080|v2|{HOST}", 10),
    ]
    assert route["route"]["timeout"] == "3s"
    retry = route["route"]["retry_policy"]
    assert (retry["num_retries"], retry["per_try_timeout"]) == (3, "1s")
    assert (retry["retry_on"], retry["retriable_status_codes"]) == ("5xx,retriable-status-codes", [503])
    assert route["request_headers_to_add"][0]["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"
    (plain,) = routes(vs(http=[{"route": http["route"][:1], "retries": {"attempts": 0}}]))
    assert "retry_policy" not in plain["route"]


def test_subsets_are_clusters_of_their_own_with_the_endpoints_they_select() -> None:
    rule = {
        "metadata": {"name": "r", "namespace": "staging"},
        "spec": {
            "host": "inventory-svc",
            "trafficPolicy": {"connectionPool": {"http": {"http1MaxPendingRequests": 1}}},
            "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
        },
    }
    found = {
        c["name"]: c
        for c in clusters(proxy(), Snapshot(services=(service(),), destination_rules=DestinationRules([rule])))
    }
    whole, subset = found[f"outbound|8080||{HOST}"], found[f"outbound|8080|v1|{HOST}"]
    assert len(whole["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 2
    assert len(subset["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 1
    assert subset["circuit_breakers"]["thresholds"][0]["max_pending_requests"] == 1
    assert subset["metadata"]["filter_metadata"]["istio"]["host"] == HOST


def test_a_gateway_appends_the_routes_of_all_its_virtual_services() -> None:
    router = Proxy(
        pod="g", namespace="staging", kind="router", labels={"istio": "ingress"}, workload="gw", app="gw", version="",
        service_account="default", ip="127.20.0.9", inbound={}, directory=Path(),
    )  # fmt: skip
    gateway = {
        "metadata": {"name": "gw", "namespace": "staging"},
        "spec": {
            "selector": {"istio": "ingress"},
            "servers": [{"port": {"number": 8080, "protocol": "HTTP"}, "hosts": ["*"]}],
        },
    }

    def bound(name: str, match: list[dict[str, Any]] | None, created: str) -> dict[str, Any]:
        http: dict[str, Any] = {"name": name, "route": [{"destination": {"host": "inventory-svc"}}]}
        return vs(
            name, created=created, hosts=["*"], gateways=["gw"], http=[{**http, **({"match": match} if match else {})}]
        )

    snapshot = Snapshot(
        services=(service(),),
        gateways=(gateway,),
        virtual_services=(
            bound("rest", None, "2020-01-01T00:00:00Z"),
            bound("stock", [{"uri": {"prefix": "/stock"}}], "2021-01-01T00:00:00Z"),
            vs("mesh-only"),
        ),
    )
    (routes,) = ingress_routes(router, snapshot, 8080)
    (host,) = routes["virtual_hosts"]
    assert [route["name"] for route in host["routes"]] == ["stock", "rest"], "catch-alls last"


def test_where_nothing_leads_anywhere_the_last_route_says_so() -> None:
    """On port 80, for which most VirtualServices are not meant; Envoy answers 503 before it looks at anything else."""
    first = {"match": [{"uri": {"prefix": "/a"}}], "route": [to()], "timeout": "3s"}
    snapshot = Snapshot(services=(service(),), virtual_services=(vs(http=[first, {"route": [to()], "timeout": "1s"}]),))

    def at(number: int) -> list[dict[str, Any]]:
        hosts = outbound_routes(proxy(), snapshot)["virtual_hosts"]
        return list(next(host["routes"] for host in hosts if host["name"] == f"{HOST}:{number}"))

    assert len(at(8080)) == 2
    (only,) = at(80)
    assert only["route"] == {"cluster": f"outbound|80||{HOST}"}
    assert only["metadata"] == at(8080)[-1]["metadata"]


@pytest.mark.parametrize("more", [{"fault": {"abort": {"httpStatus": 429}}}, {"corsPolicy": {}}])
def test_what_answers_before_is_kept_where_nothing_leads_anywhere(more: dict[str, Any]) -> None:
    snapshot = Snapshot(
        services=(service(),), virtual_services=(vs(http=[{"route": [to()], "timeout": "1s", **more}]),)
    )
    hosts = outbound_routes(proxy(), snapshot)["virtual_hosts"]
    (only,) = next(host["routes"] for host in hosts if host["name"] == f"{HOST}:80")
    assert only["route"]["timeout"] == "1s"
    assert "typed_per_filter_config" in only
