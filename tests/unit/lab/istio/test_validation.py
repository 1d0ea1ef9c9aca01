"""VirtualServices that Istio accepts, warns of or rejects, and those that the lab says it can't do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.istio.validation.virtual_service import SPEC, validate_virtual_service

DATA = Path(__file__).parents[5] / "shared" / "data"
ROUTE = [{"destination": {"host": "inventory-svc"}}]


def validated(**spec: Any) -> Any:
    spec.setdefault("hosts", ["inventory-svc"])
    spec.setdefault("http", [{"route": ROUTE}])
    return validate_virtual_service({"metadata": {"name": "x", "namespace": "staging"}, "spec": spec})


def http(**route: Any) -> Any:
    return validated(http=[{"route": ROUTE, **route}])


def fault(**parts: Any) -> Any:
    return http(fault=parts)


@pytest.mark.parametrize(
    "found",
    [
        validated(),
        validated(hosts=["*.example.com"]),
        validated(hosts=["*"], gateways=["gw"]),
        validated(exportTo=["."]),
        validated(exportTo=["staging", "qa"]),
        fault(abort={"httpStatus": 503, "percentage": {"value": 50}}),
        fault(abort={"httpStatus": 200, "percentage": {"value": 0}}),
        fault(abort={"httpStatus": 599, "percentage": {"value": 100}}),
        fault(abort={"grpcStatus": "UNAVAILABLE", "percentage": {"value": 0.0001}}),
        fault(abort={"httpStatus": 503}),
        fault(delay={"fixedDelay": "3s", "percentage": {"value": 30.5}}),
        fault(delay={"fixedDelay": "1ms"}),
        fault(delay={"percentage": {"value": 1}}),
        http(timeout="3s", retries={"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx,reset,connect-failure,retriable-4xx"}),
        http(retries={"attempts": 0}),
        http(retries={"attempts": 1, "retryOn": "503,gateway-error"}),
        http(match=[{}]),
        http(match=[{"uri": {"prefix": ""}, "withoutHeaders": {"x-a": {"regex": "*"}}, "headers": {"a.b": {"exact": "c"}}}]),
        http(headers={"request": {"set": {"x-a": "100%% of %HOSTNAME% %REQ(x-b)% %DYNAMIC_METADATA([\"a\", \"b\"])%"}}}),
        http(rewrite={"uri": "/"}, headers={"request": {"set": {"x-a": "1"}, "remove": ["x-b"]}}),
        http(match=[{"headers": {"x-a": {}}, "withoutHeaders": {"x-b": {"exact": "1"}}, "queryParams": {"q": {"regex": "a+"}}}]),
        http(match=[{"sourceLabels": {"app": "x"}, "sourceNamespace": "staging", "port": 8080, "ignoreUriCase": True}]),
        validated(http=[{"route": [{"destination": {"host": "a"}, "weight": 90}, {"destination": {"host": "b"}, "weight": 10}]}]),
    ],
)  # fmt: skip
def test_accepted(found: Any) -> None:
    assert found.accepted, found
    assert not found.unknown


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (validated(hosts=[], gateways=["gw"]), "delegate virtual service must have no gateways"),
        (validated(hosts=[], http=[{"delegate": {"name": "x"}}]), "delegate HTTP route cannot contain delegate"),
        (validated(hosts=["*"]), "wildcard host"),
        (validated(hosts=["bad_host!"]), "invalid"),
        (validated(hosts=["a", "a"]), "duplicate hosts"),
        (validated(hosts=["*.foo.com", "a.foo.com"]), "duplicate hosts"),
        (validated(http=[]), "http, tcp or tls must be provided"),
        (validated(http=[{}]), "HTTP route, redirect or direct_response is required"),
        (validated(exportTo=["~"]), "~ (none) is not allowed"),
        (validated(exportTo=["*", "staging"]), "both public"),
        (validated(exportTo=[".", "staging"]), "duplicate entries in exportTo"),
        (validated(exportTo=["a.b"]), "valid DNS 1123 label"),
        (fault(abort={"httpStatus": 199, "percentage": {"value": 1}}), "not in range 200-600"),
        (fault(abort={"httpStatus": 601, "percentage": {"value": 1}}), "not in range 200-600"),
        (fault(abort={"grpcStatus": "14"}), "not supported"),
        (fault(abort={"http2Error": "X"}), "HTTP/2 abort fault injection not supported yet"),
        (fault(abort={"httpStatus": 500, "percentage": {"value": 100.1}}), "percentage"),
        (fault(abort={"httpStatus": 500, "percentage": {"value": -1}}), "percentage"),
        (fault(abort={"httpStatus": 500, "percentage": {"value": 0.00001}}), "percentage"),
        (fault(delay={"exponentialDelay": "1s"}), "exponentialDelay not supported yet"),
        (fault(delay={"fixedDelay": "1500us"}), "ms precision"),
        (http(redirect={"uri": "/"}), "both route and redirect"),
        (http(delegate={"name": "x"}), "root HTTP route must not specify route"),
        (http(fault={}), "must have an abort and/or a delay"),
        (http(rewrite={}), "rewrite must specify"),
        (http(retries={"attempts": -1}), "negative"),
        (http(retries={"attempts": 0, "retryOn": "5xx"}), "set to 0"),
        (http(retries={"attempts": 1, "retryOn": "sometimes"}), "not a valid retryOn policy"),
        (http(retries={"attempts": 1, "retryOn": "700"}), "not a valid retryOn policy"),
        (http(retries={"attempts": 1, "retryOn": "5xx, reset"}), "' reset' is not a valid retryOn policy"),
        (http(match=[{"method": {"prefix": ""}}]), "prefix string match should not be empty"),
        (http(match=[{"uri": {"regex": "["}}]), "not a regex of RE2"),
        (http(match=[{"uri": {"regex": "(?=x)"}}]), "not a regex of RE2"),
        (http(match=[{"headers": {"x-a": {"regex": ""}}}]), "must not be empty"),
        (http(match=[{"queryParams": {"q": {"regex": "a" * 1025}}}]), "1024 bytes at most"),
        (http(headers={"request": {"set": {"x-a": "50%"}}}), "un-escaped %"),
        (http(headers={"response": {"set": {"host": "a"}}}), "cannot be changed"),
        (http(rewrite={"authority": "a"}, headers={"request": {"set": {"Host": "b"}}}), "multiple times"),
        (validated(gateways=["a_b/gw"]), "invalid value for namespace"),
        (validated(hosts=["v.1"]), "all-numeric"),
        (http(match=[{"headers": {"@request.auth.claims.sub": {"exact": "a"}}}]), "only supported for gateway"),
        (http(match=[{"headers": {"bad header": {}}}]), "header name"),
        (http(match=[{"sourceLabels": {"a b": "c"}}]), "invalid tag key"),
        (validated(http=[{"route": [{"destination": {"host": "a"}, "weight": -1}]}]), "weight -1 < 0"),
        (validated(http=[{"route": [{"destination": {"host": "a"}}, {"destination": {"host": "b"}}]}]), "total destination weight = 0"),
        (validated(http=[{"route": [{"destination": {"host": "*"}}]}]), "invalid destination host"),
    ],
)  # fmt: skip
def test_denied_by_the_webhook(found: Any, says: str) -> None:
    assert found.denied.startswith("configuration is invalid"), found
    assert says in found.denied


@pytest.mark.parametrize(
    ("found", "field"),
    [
        (validated(hosts="a"), "spec.hosts"),
        (fault(abort={"httpStatus": "503"}), "spec.http[0].fault.abort.httpStatus"),
        (fault(abort={"httpStatus": 503, "grpcStatus": "OK"}), "spec.http[0].fault.abort"),
        (fault(delay={"fixedDelay": "0s"}), "spec.http[0].fault.delay.fixedDelay"),
        (fault(delay={"fixedDelay": "soon"}), "spec.http[0].fault.delay.fixedDelay"),
        (http(timeout=3), "spec.http[0].timeout"),
        (http(match=[{"uri": {"exact": "/", "prefix": "/"}}]), "spec.http[0].match[0].uri"),
        (validated(http=[{"route": [{"weight": 1}]}]), "spec.http[0].route[0].destination"),
    ],
)
def test_rejected_by_the_schema(found: Any, field: str) -> None:
    named = [cause.field if cause.field != "<nil>" else cause.message.split('"')[3] for cause in found.causes]
    assert field in named


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"tcp": [{"route": ROUTE}]}, "spec.tcp"),
        ({"tls": [{"route": ROUTE, "match": [{"port": 443, "sniHosts": ["a"]}]}]}, "spec.tls"),
    ],
)
def test_what_the_lab_can_not_do_is_said_and_never_ignored(spec: dict[str, Any], path: str) -> None:
    found = validated(**spec)
    assert found.denied == f"the lab does not support {path} yet"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            validated(http=[{"route": ROUTE}, {"route": ROUTE}]),
            "rule #1 not used (only the last rule can have no matches)",
        ),
        (
            validated(http=[{"match": [{"uri": {"exact": "/"}}], "route": ROUTE}] * 2),
            "rule #1 not used (all matches used by prior rules)",
        ),
        (
            validated(http=[{"match": [{"uri": {"prefix": p}}], "route": ROUTE} for p in ("/a", "/ab")]),
            "rule #1 match #0 of prefix /ab is not used (duplicate/overlapping match in rule #0 of prefix /a on #0)",
        ),
        (http(mirror={"host": "a"}, mirrorPercent=1), "mirrorPercentage"),
        (validated(gateways=["gw.ns.svc.cluster.local"]), "ns/gw"),
    ],
)
def test_accepted_with_a_warning(found: Any, says: str) -> None:
    assert found.accepted
    assert any(says in warning for warning in found.warnings), found.warnings


def test_a_null_is_dropped_but_not_from_a_list() -> None:
    dropped = http(timeout=None, match=[{"headers": None}])
    assert dropped.accepted
    assert dropped.nulls == (("spec", "http", 0, "timeout"), ("spec", "http", 0, "match", 0, "headers"))
    refused = validated(http=[None])
    assert [(cause.field, cause.reason) for cause in refused.causes] == [("spec.http[0]", "FieldValueTypeInvalid")]


def test_a_value_that_is_nested_without_end_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert [cause.field for cause in validated(hosts=[deep]).causes] == ["spec.hosts[0]"]
    assert http(surprise=deep).unknown == (("spec", "http", 0, "surprise"),)


def test_a_redirect_that_envoy_does_not_have_is_not_supported() -> None:
    found = validated(http=[{"redirect": {"uri": "/", "redirectCode": 305}}])
    assert found.denied == "the lab does not support spec.http[0].redirect.redirectCode: 305 yet"


def test_a_field_that_nobody_knows_is_told() -> None:
    assert http(surprise=1).unknown == (("spec", "http", 0, "surprise"),)


def test_the_schema_has_every_field_of_the_crd() -> None:
    file = DATA / "istio-crds.yaml"
    if not file.exists():
        pytest.skip(f"Istio's CRDs are not beside the checkout ({file})")
    crds = [one for one in YAML(typ="safe").load_all(file) if one]
    crd = next(one for one in crds if one["spec"]["names"]["kind"] == "VirtualService")
    version = next(one for one in crd["spec"]["versions"] if one["name"] == "v1")
    missing = []

    def walk(node: Any, crd_node: dict[str, Any], path: str) -> None:
        if not node.supported:
            return
        for name, inner in (crd_node.get("properties") or {}).items():
            if name not in node.fields:
                missing.append(f"{path}.{name}")
            else:
                walk(node.fields[name], inner, f"{path}.{name}")
        extra = set(node.fields) - set(crd_node.get("properties") or {})
        missing.extend(f"{path}.{name} is not Istio's" for name in extra)
        for key in ("items", "additionalProperties"):
            if isinstance(crd_node.get(key), dict) and node.items is not None:
                walk(node.items, crd_node[key], f"{path}[]")

    walk(SPEC, version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec")
    assert missing == []


def test_the_samples_of_bookinfo_are_accepted_or_said_to_be_unsupported() -> None:
    folder = DATA / "bookinfo" / "networking"
    if not folder.exists():
        pytest.skip(f"Bookinfo is not beside the checkout ({folder})")
    seen = 0
    for file in sorted(folder.glob("*.yaml")):
        for obj in YAML(typ="safe").load_all(file):
            if obj and obj["kind"] in VALIDATORS:
                found = VALIDATORS[obj["kind"]](obj)
                seen += 1
                assert found.accepted or found.denied.startswith("the lab does not support"), (file.name, found)
    assert seen > 20
