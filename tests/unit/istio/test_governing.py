"""Who governs which name for whom: each fact for itself, in small."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.exports import reach
from chaos.istio.governing import Mesh
from chaos.istio.registry import registered
from chaos.istio.sidecars import sidecar_of
from chaos.istio.virtual_services import title
from tests.unit.istio.objects import obj, service

HOST = "inventory.staging.svc.cluster.local"
WEB = {"app": "web"}
NOBODY = "nobody"
"""Requests go to the Service as they are."""
UNKNOWN = "unknown"
TO: dict[str, Any] = {"route": [{"destination": {"host": HOST}}]}
FOR_OTHERS = {**TO, "match": [{"sourceLabels": {"app": "order"}}]}


def vs(name: str, namespace: str = "staging", *, day: int = 1, **spec: Any) -> dict[str, Any]:
    return obj(name, namespace, day=day, **{"hosts": ["inventory"], "http": [TO], **spec})


def governor(
    *virtual_services: dict[str, Any],
    name: str = HOST,
    namespace: str = "staging",
    port: int = 80,
    services: tuple[dict[str, Any], ...] = (service(),),
    entries: tuple[dict[str, Any], ...] = (),
    **mesh: Any,
) -> str:
    known = Mesh(services=registered(services, entries), virtual_services=virtual_services, **mesh)
    found = known.virtual_host(name, namespace, WEB, port)
    if found is None:
        return UNKNOWN
    return title(found.governor) if found.governor is not None else NOBODY


def test_its_own_namespace_beside_others_makes_it_private() -> None:
    older, younger = vs("older", exportTo=[".", "qa"]), vs("younger", day=2, exportTo=["."])
    assert governor(older, younger) == "staging/older"
    assert reach(older, "qa") == "exported"
    by_default = vs("older"), younger
    assert governor(*by_default, default_export=(".", "istio-system")) == "staging/older"
    assert governor(*by_default) == "staging/younger"


@pytest.mark.parametrize(
    "spec",
    [
        {"http": None, "tcp": [TO]},
        {"http": [FOR_OTHERS]},
        {"http": [{**TO, "match": [{"port": 9080}]}]},
        {"http": [{"delegate": {"name": "gone"}}]},
        {"gateways": ["shared"]},
    ],
)
def test_without_a_route_for_the_caller_at_this_port_the_next_governs(spec: dict[str, Any]) -> None:
    assert governor(vs("first", **spec), vs("next", day=2)) == "staging/next"


def test_each_port_may_have_its_own() -> None:
    both = (service(web=9080),)
    only = vs("only", http=[{**TO, "match": [{"port": 9080}]}])
    assert governor(only, vs("next", day=2), port=9080, services=both) == "staging/only"
    assert governor(only, vs("next", day=2), services=both) == "staging/next"


def test_a_host_counts_whatever_its_case() -> None:
    assert governor(vs("upper", hosts=["Inventory"])) == "staging/upper"


def test_an_exact_host_without_a_route_for_the_caller_hides_the_wildcard() -> None:
    wild = vs("wild", day=2, hosts=["*.staging.svc.cluster.local"])
    assert governor(wild) == "staging/wild"
    assert governor(vs("exact", http=[FOR_OTHERS]), wild) == NOBODY
    longer = vs("longer", day=3, hosts=["*y.staging.svc.cluster.local"])
    assert governor(wild, longer) == "staging/longer"


def test_of_one_wildcard_the_first_alone_counts() -> None:
    hosts = ["*.staging.svc.cluster.local"]
    assert governor(vs("first", hosts=hosts, http=[FOR_OTHERS]), vs("second", day=2, hosts=hosts)) == NOBODY


def test_a_name_with_a_dot_is_but_one_of_a_services_names() -> None:
    dotted = vs("dotted", "production", hosts=["inventory.staging"])
    assert governor(dotted, name="inventory.staging") == "production/dotted"
    assert governor(dotted) == NOBODY
    assert governor(dotted, name="inventory.staging", port=9080, services=(service(port=9080),)) == NOBODY


def test_short_names_are_for_callers_of_the_namespace() -> None:
    assert governor(vs("own"), name="inventory") == "staging/own"
    assert governor(vs("own"), name="inventory", namespace="qa") == UNKNOWN
    assert governor(vs("own"), name="inventory.staging", namespace="qa") == "staging/own"


def test_port_80_has_the_hosts_of_all_virtual_services() -> None:
    elsewhere = (service(port=9080),)
    assert governor(vs("own"), services=elsewhere) == "staging/own"
    assert governor(vs("own"), port=8080, services=elsewhere) == UNKNOWN
    assert governor(vs("own"), services=(service(namespace="qa"),), name=HOST) == "staging/own"


def test_the_first_listener_that_fits_the_port_alone_decides() -> None:
    at_80 = {"port": {"number": 80, "protocol": "HTTP", "name": "h"}, "hosts": ["./*"]}
    sidecar = obj("sc", egress=[at_80, {"hosts": ["*/*"]}])
    foreign = vs("foreign", "qa", hosts=[HOST])
    assert governor(foreign, sidecars=[sidecar]) == NOBODY
    assert governor(foreign, port=9080, services=(service(port=9080),), sidecars=[sidecar]) == "qa/foreign"
    assert governor(foreign, port=9080, services=(service(port=9080),), sidecars=[obj("sc", egress=[at_80])]) == UNKNOWN


def test_an_empty_selector_comes_before_none_and_is_nobodys_default() -> None:
    plain, empty = obj("plain"), obj("empty", day=2, workloadSelector={})
    assert sidecar_of(WEB, "staging", [plain, empty]) == empty
    assert sidecar_of(WEB, "staging", [obj("root", "istio-system", workloadSelector={})]) is None
    assert sidecar_of(WEB, "staging", [obj("root", "istio-system")]) is not None


def test_a_service_entry_of_the_callers_namespace_hides_the_service() -> None:
    ports = [{"number": 9080, "name": "http", "protocol": "HTTP"}]
    entry = obj("se", "qa", hosts=[HOST], ports=ports)
    assert governor(namespace="qa", port=80, entries=(entry,)) == UNKNOWN
    assert governor(namespace="qa", port=9080, entries=(entry,)) == NOBODY
    assert governor(namespace="production", port=80, entries=(entry,)) == NOBODY, "a Service comes first elsewhere"


def test_a_service_that_is_not_exported_or_not_http_is_not_routed() -> None:
    hidden = service()
    hidden["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    assert governor(services=(hidden,)) == NOBODY
    assert governor(services=(hidden,), namespace="qa") == UNKNOWN
    tcp = service()
    tcp["spec"]["ports"][0]["name"] = "tcp-db"
    assert governor(vs("own"), services=(tcp,)) == UNKNOWN


def test_pods_of_a_headless_service_have_names() -> None:
    headless = service()
    headless["spec"]["clusterIP"] = "None"
    (found,) = Mesh(services=registered([headless])).virtual_hosts("staging", WEB, 80)
    assert {"*.inventory", f"*.{HOST}", "inventory.staging.svc"} <= set(found.domains)
