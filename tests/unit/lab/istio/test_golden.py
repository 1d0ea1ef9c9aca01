"""What each of Istio's resources becomes in Envoy, held against files that people can read.

A folder in ``golden`` has a manifest, and for each kind of proxy of a small mesh what the manifest changes in its
configuration. ``GOLDEN=write`` writes these anew: look at the difference before you commit it. Real Envoy takes all of it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from chaos.istio.delegates import merged
from chaos.istio.destination_rules import DestinationRules
from chaos.istio.peer_authentication import mode_of
from chaos.lab.alerts import rule_file
from chaos.lab.envoys import find_envoy
from chaos.lab.istio.bootstrap import bootstrap
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.service_entries import services_of
from chaos.lab.istio.snapshot import Endpoint, Port, Service, Snapshot
from chaos.lab.istio.translate import translate
from tests.support.lab_services import lab_service

GOLDEN: Final = Path(__file__).parent / "golden"
WRITE: Final = os.environ.get("GOLDEN") == "write"
CASES: Final = sorted(path.name for path in GOLDEN.iterdir())
FIELDS: Final = {
    "VirtualService": "virtual_services",
    "DestinationRule": "destination_rules",
    "Gateway": "gateways",
    "Sidecar": "sidecars",
    "PeerAuthentication": "peer_authentications",
    "AuthorizationPolicy": "authorization_policies",
}
Object = dict[str, Any]


def proxy(name: str, ip: str, *, kind: Any = "sidecar", **labels: str) -> Proxy:
    return Proxy(
        pod=f"{name}-0", namespace="staging", kind=kind, labels={"app": name, "version": "v1", **labels}, workload=name, app=name,
        version="v1", service_account=name, ip=ip, inbound={} if kind == "router" else {9080: 40000}, directory=Path(),
    )  # fmt: skip


PROXIES: Final = {
    "caller": proxy("productpage", "127.0.9.1"),
    "service": proxy("reviews", "127.0.9.2", version="v1"),
    "gateway": proxy("ingress", "127.0.9.3", kind="router", istio="ingressgateway"),
}


def mesh(*objects: Object) -> Snapshot:
    """Two services of Bookinfo, an ingress gateway, and these objects; each younger than the one before."""
    listed: dict[str, Any] = {field: [] for field in FIELDS.values()}
    outside: list[Service] = []
    for at, obj in enumerate(objects):
        meta = {
            "namespace": "staging",
            "creationTimestamp": f"2026-01-01T00:00:{at:02}Z",
            "uid": str(at),
            **obj["metadata"],
        }
        complete = {**obj, "metadata": meta}
        if obj["kind"] == "ServiceEntry":
            outside += services_of(complete)
        else:
            listed[FIELDS[obj["kind"]]].append(complete)
    listed["virtual_services"] = merged(listed["virtual_services"])

    def service(name: str, *ips: str) -> Service:
        policies = listed["peer_authentications"]
        ends = tuple(
            Endpoint(
                ip, 9080, {"app": name, "version": f"v{number}"}, {"workload": f"{name}-v{number}"},
                uri=f"spiffe://cluster.local/ns/staging/sa/{name}",
                mutual=mode_of(policies, namespace="staging", labels={"app": name}, port=9080) != "DISABLE",
            )
            for number, ip in enumerate(ips, 1)
        )  # fmt: skip
        return lab_service(name, (Port(9080, "http", "http"),), {9080: ends})

    entry = Endpoint("127.0.9.3", 8080, {}, {}), Endpoint("127.0.9.3", 8443, {}, {})
    ports = (Port(80, "http", "http"), Port(443, "https", "https"))
    gateway = lab_service("ingress", ports, {80: entry[:1], 443: entry[1:]})
    known = (service("reviews", "127.0.9.2", "127.0.9.4"), service("ratings", "127.0.9.5"), gateway, *outside)
    rules = DestinationRules(listed.pop("destination_rules"))
    return Snapshot(services=known, destination_rules=rules, **listed)


def configuration(who: Proxy, *objects: Object) -> dict[str, Any]:
    """As Envoy reads it: plain JSON."""
    found: dict[str, Any] = json.loads(json.dumps(translate(who, mesh(*objects))))
    return found


def changed(before: Any, after: Any) -> Any:
    """What is new or different: of mappings by key, of lists of things with names by name; else the whole of it."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = {key: changed(before.get(key), value) for key, value in after.items() if before.get(key) != value}
        gone = {key: None for key in before if key not in after}
        name = {"name": after["name"]} if "name" in after else {}
        return {**name, **found, **gone}
    if isinstance(before, list) and isinstance(after, list) and _named(before) and _named(after):
        old, new = ({one["name"]: one for one in side} for side in (before, after))
        differing = [changed(old.get(name), one) for name, one in new.items() if old.get(name) != one]
        return [*differing, *({"name": name, "removed": True} for name in old if name not in new)]
    return after


def _named(listed: list[Any]) -> bool:
    names = [one.get("name") for one in listed if isinstance(one, dict)]
    return None not in names and len(set(names)) == len(listed)


def shortened(found: Any) -> Any:
    """Without what is the same wherever it comes: the words of metrics, and that more is asked of the control plane."""
    if isinstance(found, dict):
        if "api_config_source" in found:
            return "the control plane"
        return {key: shortened(value) for key, value in found.items() if key != "access_log"}
    return [shortened(one) for one in found] if isinstance(found, list) else found


def objects_of(case: str) -> list[Object]:
    return list(YAML(typ="safe").load_all((GOLDEN / case / "manifest.yaml").read_text()))


def rendered(found: Any) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 120
    yaml.representer.ignore_aliases = lambda *_: True
    text = io.StringIO()
    yaml.dump(found, text)
    return text.getvalue()


def effect(case: str) -> Mapping[str, Any]:
    """By kind of proxy, or several such as ``caller+gateway``, what the case's manifest changes there."""
    objects = objects_of(case)
    if objects[0]["kind"] == "PrometheusRule":
        return {"prometheus": json.loads(rule_file(objects))}
    found: dict[str, Any] = {}
    for name, who in PROXIES.items():
        part = shortened(changed(configuration(who), configuration(who, *objects)))
        alike = next((names for names, other in found.items() if other == part), None)
        if alike:
            found[f"{alike}+{name}"] = found.pop(alike)
        elif part:
            found[name] = part
    return found


@pytest.mark.parametrize("case", CASES)
def test_it_becomes_what_the_file_says(case: str) -> None:
    found = effect(case)
    assert found, "nothing changed"
    for name, part in found.items():
        file = GOLDEN / case / f"{name}.yaml"
        if WRITE:
            file.write_text(rendered(part))
        assert YAML(typ="safe").load(file.read_text()) == part, f"{file.name} says something else (GOLDEN=write)"
    files = {path.stem for path in (GOLDEN / case).iterdir()} - {"manifest"}
    assert files == set(found), "of these proxies alone something changes"


@pytest.mark.parametrize("case", [case for case in CASES if case != "prometheus-rule"])
def test_envoy_takes_it(case: str, tmp_path: Path) -> None:
    for who in PROXIES.values():
        assert refused(who, objects_of(case), tmp_path) == ""


def test_envoy_would_refuse_what_it_can_not_take(tmp_path: Path) -> None:
    """600 passes Istio's webhook."""
    (fault,) = objects_of("virtual-service-fault")
    fault["spec"]["http"][0]["fault"]["abort"]["httpStatus"] = 600
    assert "HttpStatus: value must be inside range [200, 600)" in refused(PROXIES["caller"], [fault], tmp_path)


def refused(who: Proxy, objects: list[Object], tmp_path: Path) -> str:
    """What Envoy says against all configuration of a proxy, with its routes where it would ask for them; empty for nothing."""
    found = configuration(who, *objects)
    for part in found.values():
        for one in part:
            del one["@type"]  # known where it stands
    start = bootstrap(who, control_plane=("127.0.0.1", 1))
    del start["dynamic_resources"]
    start["static_resources"]["clusters"] += found["clusters"]
    start["static_resources"]["listeners"] += in_place(
        found["listeners"], {one["name"]: one for one in found["routes"]}
    )
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(start))
    command = [str(find_envoy()), "--mode", "validate", "-c", str(file), "-l", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr if done.returncode else ""


def in_place(found: Any, routes: Mapping[str, Object]) -> Any:
    """With route configurations instead of their names."""
    if isinstance(found, dict):
        if "rds" in found:
            route = routes[found["rds"]["route_config_name"]]
            found = {**{key: value for key, value in found.items() if key != "rds"}, "route_config": route}
        return {key: in_place(value, routes) for key, value in found.items()}
    return [in_place(one, routes) for one in found] if isinstance(found, list) else found
