"""Which traffic policy holds where, and what it makes of clusters and routes."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.destination_rules import policy_for
from chaos.lab.istio.hashing import hash_of_destination, hash_of_service, hash_policy
from chaos.lab.istio.policies import NO_LIMIT, balancing, connections, ejection, thresholds
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
    assert hash_policy(hash_of_service(rule(policy), 80)) == [hashed]
    assert balancing(policy)["lb_policy"] == "RING_HASH"
    assert balancing({"loadBalancer": {"consistentHash": {**by, "maglev": {}}}})["lb_policy"] == "MAGLEV"
    assert hash_policy(hash_of_service(rule(ROUND), 80)) == []
    assert hash_policy(hash_of_service(None, 80)) == []


def test_a_ports_hash_counts_for_destinations_that_name_the_port() -> None:
    by, own = {"useSourceIp": True}, {"httpHeaderName": "x"}
    settings = {"port": {"number": 80}, "loadBalancer": {"consistentHash": own}}
    made = rule({"loadBalancer": {"consistentHash": by}, "portLevelSettings": [settings]})
    assert hash_of_destination(made, {"host": "a"}) == by
    assert hash_of_destination(made, {"host": "a", "port": {"number": 80}}) == own
    assert hash_of_service(made, 80) == own


def test_a_subsets_policy_stays_beside_the_rules_port_settings() -> None:
    settings = [{"port": {"number": 81}, **RANDOM}]
    made = rule(
        {**ROUND, "portLevelSettings": settings}, v1=POOL, v2={"portLevelSettings": [{"port": {"number": 81}, **POOL}]}
    )
    assert policy_for(made, "v1", 81) == {**RANDOM, **POOL}
    assert policy_for(made, "v2", 81) == POOL, "its own settings of a port replace all"
    assert policy_for(made, "v2", 80) == ROUND


def test_outliers_are_ejected_by_errors_only_and_always() -> None:
    on = {"enforcing_success_rate": 0}
    healthy = {"healthy_panic_threshold": {"value": 0}}
    assert ejection({}) == {}
    assert ejection({"outlierDetection": {}}) == {"outlier_detection": on, "common_lb_config": healthy}
    wanted = {"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3, "interval": "1m30s", "minHealthPercent": 20}
    off = ejection({"outlierDetection": wanted})
    assert off["outlier_detection"]["enforcing_consecutive_5xx"] == 0
    assert off["outlier_detection"]["enforcing_consecutive_gateway_failure"] == 100
    assert off["outlier_detection"]["interval"] == "90s"
    assert off["common_lb_config"]["healthy_panic_threshold"]["value"] == 20


@pytest.mark.parametrize(("errors", "told"), [(0, None), (2, 2)])
def test_errors_of_ones_own_making_count_by_envoys_default_where_none_is_given(errors: int, told: int | None) -> None:
    split = {"splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": errors}
    found = ejection({"outlierDetection": split})["outlier_detection"]
    assert found["split_external_local_origin_errors"]
    assert found.get("consecutive_local_origin_failure") == told


def test_a_pool_of_zero_has_no_limit() -> None:
    zero = {
        "tcp": {"maxConnections": 0},
        "http": {"http1MaxPendingRequests": 0, "http2MaxRequests": 0, "maxRetries": 0},
    }
    made = thresholds({"connectionPool": zero})
    assert {made[key] for key in ("max_connections", "max_pending_requests", "max_requests", "max_retries")} == {
        NO_LIMIT
    }
    assert thresholds({"connectionPool": {"tcp": {"maxConnections": 3}}})["max_connections"] == 3


def test_connections_live_as_long_as_the_pool_says() -> None:
    pool = {"tcp": {"connectTimeout": "500ms", "idleTimeout": "1h"}, "http": {"idleTimeout": "1m"}}
    found = connections({"connectionPool": pool}, http2=False)
    assert found["connect_timeout"] == "0.5s"
    (options,) = found["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"]["idle_timeout"] == "60s", "HTTP's before TCP's"
    assert options["explicit_http_config"] == {"http_protocol_options": {}}


def test_an_upgrade_is_for_ports_whose_protocol_is_declared() -> None:
    policy = {"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}}
    for detected, config in ((False, "explicit_http_config"), (True, "use_downstream_protocol_config")):
        found = connections(policy, http2=False, detected=detected)["typed_extension_protocol_options"]
        assert config in next(iter(found.values()))


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
