"""The CEL rules of Istio's CRDs: whatever breaks one of them there is rejected here, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chaos.lab.api.policies import Expression
from chaos.lab.istio.validation import VALIDATORS
from tests.contract.istio_crds import CRDS, NEWEST, SCHEMAS, crds, ours

pytestmark = pytest.mark.skipif(
    not all(file.is_file() for file in CRDS.values()), reason="Istio's CRDs are not beside this checkout"
)
PORT = {"number": 80, "name": "http", "protocol": "HTTP"}
ENTRY = {"hosts": ["a.example"], "ports": [PORT], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}]}
ROUTE = {"route": [{"destination": {"host": "a"}}]}
SERVER = {"port": PORT, "hosts": ["a.example"]}


def vs(**http: Any) -> dict[str, Any]:
    return {"hosts": ["a"], "http": [{**ROUTE, **http}]}


def pool(policy: str, **more: Any) -> dict[str, Any]:
    return {"host": "a", policy: more}


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("VirtualService", vs(timeout="0s")),
    ("VirtualService", vs(timeout="500us")),
    ("VirtualService", vs(retries={"attempts": 1, "perTryTimeout": "0.0001s"})),
    ("VirtualService", vs(retries={"attempts": 1, "backoff": "0s"})),
    ("VirtualService", vs(corsPolicy={"maxAge": "0s"})),
    ("VirtualService", vs(fault={"delay": {"fixedDelay": "0s"}})),
    ("DestinationRule", {"host": "a", "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "0s"}}}}),
    ("DestinationRule", {"host": "a", "trafficPolicy": {"connectionPool": {"http": {"idleTimeout": "0s"}}}}),
    ("DestinationRule", {"host": "a", "trafficPolicy": {"outlierDetection": {"interval": "0s"}}}),
    ("DestinationRule", {"host": "a", "trafficPolicy": {"outlierDetection": {"baseEjectionTime": "0s"}}}),
    ("DestinationRule", {"host": "a", "subsets": [{"name": "v1", "trafficPolicy": {"outlierDetection": {"interval": "0s"}}}]}),
    ("Gateway", {"servers": [{**SERVER, "tls": {"mode": "SIMPLE", "credentialName": "a", "credentialNames": ["b"]}}]}),
    ("Gateway", {"servers": [{**SERVER, "tls": {"mode": "SIMPLE", "tlsCertificates": [{}], "credentialNames": ["b"]}}]}),
    ("AuthorizationPolicy", {"selector": {"matchLabels": {"a": "b"}}, "targetRefs": [{"kind": "Service", "name": "a"}]}),
    ("ServiceEntry", {**ENTRY, "workloadSelector": {"labels": {"a": "b"}}}),
    ("ServiceEntry", {**ENTRY, "hosts": ["*"]}),
    ("ServiceEntry", {**ENTRY, "resolution": "NONE"}),
    ("ServiceEntry", {**ENTRY, "resolution": "DNS_ROUND_ROBIN", "endpoints": [{"address": "127.0.0.1"}, {"address": "127.0.0.2"}]}),
    ("ServiceEntry", {**ENTRY, "resolution": "DNS", "addresses": ["127.0.0.0/8"]}),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"labels": {"a": "b"}}]}),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"address": "unix://relative"}]}),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"address": "unix:///folder/"}]}),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"address": "unix:///socket", "ports": {"http": 80}}]}),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"address": "127.0.0.1", "ports": {"-bad": 80}}]}),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"address": "127.0.0.1", "ports": {"http": 0}}]}),
    ("ServiceEntry", {**ENTRY, "ports": [PORT, {**PORT, "name": "again"}]}),
    ("ServiceEntry", {**ENTRY, "endpoints": None, "workloadSelector": {"labels": {"a": "b*"}}}),
    ("Sidecar", {"egress": [{"hosts": ["./*"]}], "workloadSelector": {"labels": {"a": "b*"}}}),
    ("AuthorizationPolicy", {"selector": {"matchLabels": {"a*": "b"}}}),
    ("AuthorizationPolicy", {"selector": {"matchLabels": {"": "b"}}}),
    ("AuthorizationPolicy", {"selector": {"matchLabels": {"a": "b*"}}}),
    ("AuthorizationPolicy", {"rules": [{"from": [{"source": {"serviceAccounts": ["a"], "principals": ["b"]}}]}]}),
    ("PeerAuthentication", {"portLevelMtls": {"80": {"mode": "STRICT"}}}),
    ("PeerAuthentication", {"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {"70000": {"mode": "STRICT"}}}),
    ("PeerAuthentication", {"selector": {"matchLabels": {"a*": "b"}}}),
    ("PeerAuthentication", {"selector": {"matchLabels": {"": "b"}}}),
    ("PeerAuthentication", {"selector": {"matchLabels": {"a": "b*"}}}),
]  # fmt: skip
SOUND: list[tuple[str, dict[str, Any]]] = [
    ("VirtualService", vs(timeout="1ms", retries={"attempts": 1, "perTryTimeout": "1s"}, corsPolicy={"maxAge": "24h"})),
    ("DestinationRule", {"host": "a", "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "1ms"}}}}),
    ("Gateway", {"servers": [{**SERVER, "tls": {"httpsRedirect": True}}]}),
    ("ServiceEntry", ENTRY),
    ("ServiceEntry", {**ENTRY, "endpoints": [{"address": "127.0.0.1", "ports": {"http": 8080}}]}),
    ("Sidecar", {"egress": [{"hosts": ["./*"]}], "workloadSelector": {"labels": {"a": "b"}}}),
    ("AuthorizationPolicy", {"selector": {"matchLabels": {"a": "b"}}, "rules": [{"from": [{"source": {"serviceAccounts": ["n/a"]}}]}]}),
    ("PeerAuthentication", {"selector": {"matchLabels": {"a": "b"}}, "portLevelMtls": {"80": {"mode": "STRICT"}}}),
]  # fmt: skip
Rule = tuple[str, str]


def broken(schema: dict[str, Any], value: Any, path: str = "spec") -> Iterator[Rule]:
    """The rules, by their place, that a value breaks."""
    if value is None:
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        text = rule["rule"]
        compiled = Expression(text.replace("self", "object"), {})
        if not compiled.value({"object": value, "oldObject": None, "request": None, "namespaceObject": None}):
            yield path, text
    if isinstance(value, dict):
        for name, inner in value.items():
            below = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
            if isinstance(below, dict):
                named = name if name in (schema.get("properties") or {}) else "*"
                yield from broken(below, inner, f"{path}.{named}")
    if isinstance(value, list):
        for inner in value:
            yield from broken(schema.get("items") or {}, inner, f"{path}[]")


def rules(kind: str) -> Iterator[Rule]:
    """Every rule on a field that the lab supports."""
    dark = {path for path, node in ours(SCHEMAS[kind]) if not node.supported}

    def walk(schema: dict[str, Any], place: str, path: tuple[str, ...]) -> Iterator[Rule]:
        if any(path[: len(other)] == other for other in dark):
            return
        for rule in schema.get("x-kubernetes-validations") or ():
            yield place, rule["rule"]
        for name, inner in (schema.get("properties") or {}).items():
            yield from walk(inner, f"{place}.{name}", (*path, name))
        if isinstance(schema.get("items"), dict):
            yield from walk(schema["items"], f"{place}[]", path)
        if isinstance(schema.get("additionalProperties"), dict):
            yield from walk(schema["additionalProperties"], f"{place}.*", (*path, "*"))

    yield from walk(crds(NEWEST)[kind], "spec", ())


def rejected(kind: str, spec: dict[str, Any]) -> str:
    found = VALIDATORS[kind]({"metadata": {"name": "x", "namespace": "staging"}, "spec": spec})
    return found.denied or ", ".join(f"{cause.field}: {cause.message}" for cause in found.causes)


@pytest.mark.parametrize(("kind", "spec"), BROKEN)
def test_what_breaks_a_rule_is_rejected(kind: str, spec: dict[str, Any]) -> None:
    assert list(broken(crds(NEWEST)[kind], spec)), "a sample that breaks nothing shows nothing"
    assert rejected(kind, spec)


@pytest.mark.parametrize(("kind", "spec"), SOUND)
def test_what_breaks_none_is_taken(kind: str, spec: dict[str, Any]) -> None:
    assert list(broken(crds(NEWEST)[kind], spec)) == []
    assert rejected(kind, spec) == ""


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_rule_of_a_supported_field_has_a_sample(kind: str) -> None:
    """Durations have the same rule at many places; one place for each is enough."""
    tried = {text for own, spec in BROKEN if own == kind for _, text in broken(crds(NEWEST)[kind], spec)}
    assert {text for _, text in rules(kind)} - tried == set()
