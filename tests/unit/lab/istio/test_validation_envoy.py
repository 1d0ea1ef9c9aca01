"""What Istio's webhook takes and no Envoy does is refused where it is written, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.lab.istio.validation import VALIDATORS

TO = [{"destination": {"host": "a.example"}}]


def said(kind: str, spec: dict[str, Any]) -> str:
    return VALIDATORS[kind]({"kind": kind, "metadata": {"name": "a", "namespace": "b"}, "spec": spec}).denied


@pytest.mark.parametrize(
    ("http", "place"),
    [
        ({"fault": {"abort": {"httpStatus": 600}}, "route": TO}, "spec.http[0].fault.abort.httpStatus: 600"),
        ({"directResponse": {"status": 600}}, "spec.http[0].directResponse.status: 600"),
        ({"match": [{"queryParams": {"": {"exact": "x"}}}], "route": TO}, 'spec.http[0].match[0].queryParams: ""'),
        ({"redirect": {"authority": "a\nb"}}, "spec.http[0].redirect: 'a\\nb'"),
        ({"rewrite": {"authority": "a\r"}, "route": TO}, "spec.http[0].rewrite: 'a\\r'"),
        ({"headers": {"request": {"add": {"\n": "x"}}}, "route": TO}, "spec.http[0].headers: '\\n'"),
        (
            {"route": [{**TO[0], "headers": {"response": {"remove": ["\n"]}}}]},
            "spec.http[0].route[0].headers: '\\n'",
        ),
        ({"match": [{"uri": {"regex": "a{1000}" * 33}}], "route": TO}, "spec.http[0].match[0].uri.regex: a{1000}"),
        ({"match": [{"uri": {"regex": r"\x{100}"}}], "route": TO}, "spec.http[0].match[0].uri.regex: \\x{100}"),
        (
            {"rewrite": {"uriRegexRewrite": {"match": r"\x{100}", "rewrite": "x"}}, "route": TO},
            "spec.http[0].rewrite.uriRegexRewrite.match",
        ),
    ],
)  # fmt: skip
def test_a_route_that_no_envoy_takes(http: dict[str, Any], place: str) -> None:
    told = said("VirtualService", {"hosts": ["a.example"], "http": [http]})
    assert told.startswith(f"the lab does not support {place}")
    assert "(Envoy would refuse the whole update)" in told


@pytest.mark.parametrize("regex", ["a{1,1000}", r"\x{ff}", "é+", "*"])
def test_a_regex_that_envoy_takes(regex: str) -> None:
    match = [{"headers": {"x-a": {"regex": regex}}}]
    wrong = said("VirtualService", {"hosts": ["a.example"], "http": [{"match": match, "route": TO}]})
    assert "Envoy" not in wrong


def test_a_cookie_that_ends_before_it_begins() -> None:
    by = {"httpCookie": {"name": "c", "ttl": "-1s"}}
    policy = {"loadBalancer": {"consistentHash": by}}
    told = said("DestinationRule", {"host": "a.example", "subsets": [{"name": "v1", "trafficPolicy": policy}]})
    assert "spec.subsets[0].trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl: -1s" in told
