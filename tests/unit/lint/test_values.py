"""Values of a fault that Istio ignores, refuses, or hands to an Envoy that rejects them."""

from __future__ import annotations

import pytest

from chaos.istio.grpc import GRPC_STATUSES
from tests.unit.lint.rules import SERVICES, hits, told, virtual_service

GOOD = "percentage: {value: 50}"


def faulty(fault: str, more: str = "route: [{destination: {host: reviews}}]") -> list[tuple[str, str]]:
    return [
        (rule, path.removeprefix("spec.http[0].")) for rule, path in told(virtual_service(f"fault: {fault}, {more}"))
    ]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("{}", [("fault-empty", "fault")]),
        ("{abort: null}", [("fault-empty", "fault")]),
        ("{abort: {httpStatus: 503}}", [("fault-without-percentage", "fault.abort")]),
        ("{abort: {httpStatus: 503, percentage: {}}}", [("fault-without-percentage", "fault.abort")]),
        ("{delay: {fixedDelay: 3s}}", [("fault-without-percentage", "fault.delay")]),
        ("{delay: {fixedDelay: 3s, percent: 10}}", []),
        ("{delay: {percentage: {value: 50}}}", [("delay-without-fixed-delay", "fault.delay")]),
        ("{delay: {percentage: {value: 50}, exponentialDelay: 3s}}", [("delay-without-fixed-delay", "fault.delay")]),
        ("{abort: {percentage: {value: 50}}}", [("abort-without-status", "fault.abort")]),
        ("{abort: {percentage: {value: 50}, http2Error: X}}", [("abort-without-status", "fault.abort")]),
        ("{abort: {percentage: {value: 50}, httpStatus: 503}, delay: {percentage: {value: 1}, fixedDelay: 1s}}", []),
    ],
)
def test_what_has_to_be_said(fault: str, expected: list[tuple[str, str]]) -> None:
    assert faulty(fault) == expected


@pytest.mark.parametrize("value", ["0", "0.0", "0.0001", "0.57", "100", "100.0", "'${share}'"])
def test_percentages_that_istio_takes(value: str) -> None:
    assert faulty(f"{{abort: {{httpStatus: 503, percentage: {{value: {value}}}}}}}") == []


@pytest.mark.parametrize("value", ["0.00001", "-1", "100.1", "'50'", "50%", "true", ".nan", ".inf", "[]"])
def test_percentages_that_istio_does_not_take(value: str) -> None:
    found = faulty(f"{{delay: {{fixedDelay: 1s, percentage: {{value: {value}}}}}}}")
    assert found == [("percentage-out-of-range", "fault.delay.percentage.value")]


def test_a_percentage_without_its_value_is_told_by_its_form() -> None:
    assert faulty("{abort: {httpStatus: 503, percentage: 50}}") == [
        ("fault-without-percentage", "fault.abort"),
        ("malformed", "fault.abort.percentage"),
    ]


@pytest.mark.parametrize("value", ["1ms", "3s", "1m30s", "1.5s", "'${delay}'"])
def test_delays_that_istio_takes(value: str) -> None:
    assert faulty(f"{{delay: {{{GOOD}, fixedDelay: {value}}}}}") == []


@pytest.mark.parametrize("value", ["0s", "100us", "1.5ms", "3", "'3 s'", "three", "-1s"])
def test_delays_that_istio_does_not_take(value: str) -> None:
    assert faulty(f"{{delay: {{{GOOD}, fixedDelay: {value}}}}}") == [("fixed-delay-invalid", "fault.delay.fixedDelay")]


@pytest.mark.parametrize("value", ["200", "503", "555", "599"])
def test_statuses_that_envoy_takes(value: str) -> None:
    assert faulty(f"{{abort: {{{GOOD}, httpStatus: {value}}}}}") == []


@pytest.mark.parametrize("value", ["199", "600", "601", "0", "'503'", "true", "503.5"])
def test_statuses_that_istio_or_envoy_rejects(value: str) -> None:
    found = faulty(f"{{abort: {{{GOOD}, httpStatus: {value}}}}}")
    assert found == [("http-status-out-of-range", "fault.abort.httpStatus")]


def test_600_is_told_apart_since_the_webhook_lets_it_pass() -> None:
    [(_, hit)] = hits(virtual_service(f"fault: {{abort: {{{GOOD}, httpStatus: 600}}}}"))
    assert "every Envoy rejects the update and keeps its old routes" in hit.message


@pytest.mark.parametrize("value", ["14", "unavailable", "BROKEN", "''"])
def test_grpc_statuses_are_names(value: str) -> None:
    assert faulty(f"{{abort: {{{GOOD}, grpcStatus: {value}}}}}") == [("grpc-status-unknown", "fault.abort.grpcStatus")]


@pytest.mark.parametrize("value", GRPC_STATUSES)
def test_names_of_grpc_statuses(value: str) -> None:
    assert faulty(f"{{abort: {{{GOOD}, grpcStatus: {value}}}}}") == []


@pytest.mark.parametrize(
    ("host", "expected"), [("reviews", ["grpc-abort-on-http"]), ("ratings", []), ("elsewhere", [])]
)
def test_a_grpc_abort_is_for_grpc_ports(host: str, expected: list[str]) -> None:
    one = virtual_service(
        f"fault: {{abort: {{{GOOD}, grpcStatus: UNAVAILABLE}}}}", spec=f"hosts: [{host}], exportTo: ['.']"
    )
    found = [rule for rule, _ in told(SERVICES + one)]
    assert [rule for rule in found if rule != "host-matches-nothing"] == expected


@pytest.mark.parametrize("other", ["redirect: {uri: /x}", "directResponse: {status: 200}"])
def test_a_fault_needs_a_route(other: str) -> None:
    assert faulty(f"{{abort: {{{GOOD}, httpStatus: 503}}}}", other) == [("fault-with-redirect", "fault")]


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("hosts: reviews", "spec.hosts"),
        ("hosts: [reviews, 5]", "spec.hosts[1]"),
        ("hosts: [reviews], http: {}", "spec.http"),
        ("hosts: [reviews], http: [5]", "spec.http[0]"),
        ("hosts: [reviews], http: [{route: [{destination: reviews}]}]", "spec.http[0].route[0].destination"),
        ("hosts: [reviews], exportTo: '*'", "spec.exportTo"),
        ("hosts: [reviews], http: [{match: {uri: x}}]", "spec.http[0].match"),
        ("hosts: [reviews], http: [{fault: yes please}]", "spec.http[0].fault"),
    ],
)
def test_values_of_the_wrong_form_are_told_and_nothing_falls_over(spec: str, place: str) -> None:
    text = f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: x, namespace: staging}}\nspec: {{{spec}}}\n"
    assert ("malformed", place) in told(text)


@pytest.mark.parametrize("spec", ["5", "[]", "text", "{http: [[[]]], hosts: [[]], tcp: {a: b}, tls: [{route: [1]}]}"])
@pytest.mark.parametrize("kind", ["VirtualService", "DestinationRule", "ServiceEntry", "Sidecar"])
def test_no_form_makes_a_rule_fall_over(kind: str, spec: str) -> None:
    text = f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: 5, labels: []}}\nspec: {spec}\n---\n"
    assert "malformed" in {rule for rule, _ in told(text + SERVICES + virtual_service())}


def test_a_kind_of_that_name_of_another_group_may_have_any_form() -> None:
    text = "apiVersion: example.com/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {http: [5, {fault: 5}], hosts: 5}\n"
    assert told(text) == []


def test_what_is_filled_in_later_has_no_form_yet() -> None:
    text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x, namespace: staging}\n"
    assert told(text + "spec: {hosts: '${hosts}', http: '{{ .Values.http }}', exportTo: '$(EXPORT)'}\n") == []
