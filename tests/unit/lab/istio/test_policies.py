"""Which traffic policy holds where, and what it makes of clusters and routes."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.lab.istio.policies import balancing, hash_policy, outlier_detection, policy_for
from chaos.lab.istio.validation.destination_rule import validate_destination_rule

ROUND, RANDOM = {"loadBalancer": {"simple": "ROUND_ROBIN"}}, {"loadBalancer": {"simple": "RANDOM"}}
POOL = {"connectionPool": {"tcp": {"maxConnections": 7}}}


def rule(policy: dict[str, Any], **subsets: dict[str, Any]) -> dict[str, Any]:
    listed = [{"name": name, "trafficPolicy": own} for name, own in subsets.items()]
    return {
        "metadata": {"name": "r", "namespace": "ns"},
        "spec": {"host": "a", "trafficPolicy": policy, "subsets": listed},
    }


def test_a_subset_replaces_what_it_names_and_keeps_the_rest() -> None:
    made = rule({**ROUND, **POOL}, v1=RANDOM)
    assert policy_for(made, "", 80) == {**ROUND, **POOL}
    assert policy_for(made, "v1", 80) == {**RANDOM, **POOL}
    assert policy_for(made, "unknown", 80) == {**ROUND, **POOL}
    assert policy_for(None, "", 80) == {}


def test_a_ports_settings_replace_all_together() -> None:
    made = rule({**ROUND, **POOL, "portLevelSettings": [{"port": {"number": 81}, **RANDOM}]})
    assert policy_for(made, "", 80)["loadBalancer"] == ROUND["loadBalancer"]
    assert policy_for(made, "", 81) == RANDOM, "the pool of the rule does not hold there: Istio's default does"


@pytest.mark.parametrize(
    ("by", "hashed"),
    [
        ({"httpHeaderName": "x-user"}, {"header": {"header_name": "x-user"}}),
        ({"httpCookie": {"name": "c", "ttl": "0s"}}, {"cookie": {"name": "c", "ttl": "0s"}}),
        ({"useSourceIp": True}, {"connection_properties": {"source_ip": True}}),
        ({"httpQueryParameterName": "q"}, {"query_parameter": {"name": "q"}}),
    ],
)
def test_consistent_hashing(by: dict[str, Any], hashed: dict[str, Any]) -> None:
    policy = {"loadBalancer": {"consistentHash": by}}
    assert hash_policy(policy) == [hashed]
    assert balancing(policy)["lb_policy"] == "RING_HASH"
    assert balancing({"loadBalancer": {"consistentHash": {**by, "maglev": {}}}})["lb_policy"] == "MAGLEV"
    assert hash_policy(ROUND) == []


def test_outliers_are_ejected_by_errors_only_and_always() -> None:
    assert outlier_detection({})["consecutive_5xx"] == 5
    off = outlier_detection({"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3})
    assert (off["enforcing_consecutive_5xx"], off["enforcing_consecutive_gateway_failure"]) == (0, 100)
    split = outlier_detection({"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 2})
    assert split["consecutive_local_origin_failure"] == 2


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({}, "traffic policy must have at least one field"),
        ({"portLevelSettings": [{"connectionPool": {"tcp": {"maxConnections": 1}}}]}, "must have valid port"),
        ({"loadBalancer": {"consistentHash": {"maglev": {"tableSize": 9}}}}, "prime number"),
        ({"connectionPool": {"tcp": {"connectTimeout": "1500us"}}}, "ms precision"),
        ({"outlierDetection": {"consecutiveLocalOriginFailures": 1}}, "split external local origin errors"),
        ({"tls": {"mode": "SIMPLE", "insecureSkipVerify": True, "subjectAltNames": ["a"]}}, "insecureSkipVerify"),
        (
            {"tls": {"mode": "MUTUAL", "credentialName": "c"}},
            "does not support spec.trafficPolicy.tls.mode: MUTUAL, spec.trafficPolicy.tls.credentialName",
        ),
        (
            {"portLevelSettings": [{"port": {"number": 1}, "tls": {"mode": "SIMPLE", "caCertificates": "/f"}}]},
            "does not support spec.trafficPolicy.portLevelSettings[0].tls.caCertificates",
        ),
    ],
)
def test_what_can_not_be_is_refused(policy: dict[str, Any], told: str) -> None:
    assert told in validate_destination_rule(rule(policy)).denied
