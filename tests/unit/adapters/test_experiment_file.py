"""Reading experiment files: what is accepted, and how mistakes are told."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from pathlib import Path

import pytest

from chaos.adapters.experiment_file import DocumentError, parse_experiment, read_experiment
from chaos.expectations import ClientExpectation, Expectation, PromqlExpectation
from chaos.model.experiment import Experiment

GOOD = textwrap.dedent("""\
    experiment: orders
    target: {namespace: staging, service: inventory-svc}
    faults:
      - abort: {percentage: 50, httpStatus: 503}
        delay: {percentage: 30, fixedDelay: 3s}
    load:
      rate: 40
      requests:
        - {path: /orders/42}
    steadyState:
      - title: answered
        service: order-svc
        good: {status: "<500", within: 1s}
        atLeast: 99%
        duringFault: baseline - 0.5%
""")


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        parse_experiment(text, file="x.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_good_file_is_read_with_units() -> None:
    experiment = parse_experiment(GOOD)
    assert experiment.fault.delay is not None
    assert experiment.fault.delay.fixed_delay == timedelta(seconds=3)
    (answered,) = experiment.steady_state
    assert isinstance(answered, Expectation)
    assert answered.at_least.share == 0.99
    assert answered.during_fault is not None
    assert answered.during_fault.relative
    assert answered.bound_in("recovery").share == 0.99


def test_what_was_read_can_be_written_and_read_again() -> None:
    experiment = parse_experiment(GOOD)
    assert Experiment.model_validate(experiment.model_dump(mode="json", by_alias=True)) == experiment


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (("percentage: 50", "percentage: 0"), "x.yaml:4:13: faults[0].abort.percentage", "expected more than 0"),
        (("percentage: 50", "percentage: 100.00001"), "x.yaml:4:13", "100"),
        (
            (" inventory-svc}", " inventory-svc, match: [{uri: {regex: '(?=x)'}}]}"),
            "x.yaml:2:",
            "not a regex of RE2",
        ),
        (
            (" inventory-svc}", " inventory-svc, match: [{uri: {regex: ''}}]}"),
            "x.yaml:2:",
            "must not be empty",
        ),
        ((" inventory-svc}", " inventory-svc, match: [{method: {prefix: ''}}]}"), "x.yaml:2:", "not empty"),
        (("percentage: 50", "percentage: 0.00005"), "x.yaml:4:13", "0.0001"),
        (("percentage: 50", "percentage: '50'"), "x.yaml:4:13", "plain number"),
        (("percentage: 50", "percentage: .nan"), "x.yaml:4:13", "expected a number"),
        (("percentage: 50", "percentage: true"), "x.yaml:4:13", "plain number"),
        (("percentage: 50", "percentage: 1e3"), "x.yaml:4:13", "100"),
        (("httpStatus: 503", "httpStatus: 600"), "x.yaml:4:29: faults[0].abort.httpStatus", "599"),
        (("httpStatus: 503", "grpcStatus: '14'"), "x.yaml:4:29", "expected the name of a gRPC status"),
        (("fixedDelay: 3s", "fixedDelay: 3"), "x.yaml:5:29: faults[0].delay.fixedDelay", "3s"),
        (("fixedDelay: 3s", "fixedDelay: 0.5ms"), "x.yaml:5:29", "whole milliseconds"),
        (("fixedDelay: 3s", "fixedDelay: 0s"), "x.yaml:5:29", "at least 1ms"),
        (("within: 1s", "within: 700ms"), "x.yaml:13:28: steadyState[0].good.within", "bucket bound"),
        (("atLeast: 99%", "atLeast: 99"), "x.yaml:14:5: steadyState[0].atLeast", "99%"),
        (("atLeast: 99%", "atLeast: 100%"), "x.yaml:11:5", "under 100%"),
        (('status: "<500"', "status: ok"), "x.yaml:13:12: steadyState[0].good.status", "such as <500, 2xx"),
        (("rate: 40", "rate: -1"), "x.yaml:7:3: load.rate", "expected more than 0"),
        (("rate: 40", "ratee: 40"), "x.yaml:7:3: load.ratee", "did you mean 'rate'?"),
        (
            ("namespace: staging", "namespace: Staging"),
            "x.yaml:2:10: target.namespace",
            "expected only lower-case letters",
        ),
        (("experiment: orders", "experiment: 'or ders'"), "x.yaml:1:1: experiment", "expected only lower-case letters"),
        (("path: /orders/42", "path: orders"), "x.yaml:9:8: load.requests[0].path", "begins with /"),
    ],
)
def test_a_mistake_is_told_with_its_place(change: tuple[str, str], place: str, says: str) -> None:
    assert change[0] in GOOD
    found = problems(GOOD.replace(*change))
    assert len(found) == 1
    assert found[0].startswith(place)
    assert says in found[0]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("percentage: 50", "percentage: 500").replace("rate: 40", "rate: x").replace("99%", "much")
    assert [line.split(": ")[1] for line in problems(text)] == [
        "faults[0].abort.percentage",
        "load.rate",
        "steadyState[0].atLeast",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("a: 1\n---\nb: 2\n", "x.yaml:3:1: expected one experiment, found 2 documents"),
        ("- 1\n", "expected a mapping"),
        ("just text", "expected a mapping"),
        ("a: [1\nb: 2", "expected YAML"),
        ("a: 1\na: 2\n", "`a` appears twice, first in line 1"),
        ("\tx: 1", "expected YAML"),
        ("experiment: \x00", "expected YAML"),
    ],
)
def test_what_is_no_experiment_at_all(text: str, says: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("experiment: orders", "experiment:"), "experiment: is empty, expected text"),
        (("percentage: 50", "percentage: 50%"), "percentage: '50%': expected a plain number, without the percent sign: 50"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_told_by_what_was_expected(change: tuple[str, str], says: str) -> None:
    assert change[0] in GOOD
    assert says in "\n".join(problems(GOOD.replace(*change)))


def test_a_mapping_is_told_by_its_keys_and_not_by_a_class() -> None:
    told = "\n".join(problems("experiment: x\ntarget: a\nload: [1]\nobserve: 30s\n"))
    assert "x.yaml:2:1: target: expected a mapping, found text\n    hint: known here: callers, " in told
    assert "x.yaml:3:1: load: expected a mapping, found a list\n    hint: known here: host, locustfile, " in told
    assert "x.yaml:4:1: observe: expected a mapping, found text\n    hint: known here: atLeast" in told


def test_missing_parts_are_named() -> None:
    found = problems("experiment: x\n")
    assert {line.split(": ")[1] for line in found} == {"target", "faults", "load", "steadyState"}
    assert all("is missing" in line for line in found)


FINE = "{title: a, service: o, good: {status: 2xx}, atLeast: 99%}"


def problems_of(item: str, *, role: str = "steadyState") -> list[str]:
    before = GOOD.split("steadyState:")[0] + f"steadyState:\n  - {FINE}\n"
    return problems(f"{before}guardrails:\n  - {item}\n" if role == "guardrails" else before.replace(FINE, item))


@pytest.mark.parametrize(
    ("item", "place", "says"),
    [
        ("{title: a, service: o, god: {status: 2xx}, atLeast: 99%}", "steadyState[0].god", "did you mean 'good'?"),
        ("{title: a, prom: up}", "steadyState[0].prom", "did you mean 'promql'?"),
        (FINE.replace("good", "request: x, good"), "steadyState[0].request", "`from: client`"),
        ("{title: a, promql: sum(up) > 3, service: o}", "steadyState[0].service", "known here: promql, title"),
        ("{title: a, promql: sum(up) > 3, atLeast: 99%}", "steadyState[0].atLeast", "true at every look"),
        ("{title: a, promql: up}", "steadyState[0].promql", "expected a comparison"),
        ("{title: a, from: clint, good: {status: 2xx}, atLeast: 99%}", "steadyState[0].from", "mesh: the callers'"),
        (FINE.replace("99%", "baseline"), "steadyState[0].atLeast", "only duringFault can be relative"),
        (FINE.replace("99%", "99%, duringFault: 0%"), "steadyState[0]", "over 0% and under 100%"),
        (FINE.replace("service: o, ", ""), "steadyState[0].service", "`from: client` needs none"),
        (FINE.replace("status: 2xx", "body: cached"), "steadyState[0].good", "need from: client"),
        ("{title: a, fallback: {within: 1s}, atLeast: 9%}", "steadyState[0].fallback", "expected no within"),
        ("{title: a, fallback: {status: 2xx}, atLeast: 0%}", "steadyState[0].atLeast", "over 0% and under 100%"),
        (
            "{title: a, fallback: {jsonPath: {a..b: 1}}, atLeast: 9%}",
            "steadyState[0].fallback.jsonPath.a..b",
            "lines[0]",
        ),
        ("{title: a, fallback: {}, atLeast: 9%}", "steadyState[0].fallback", "at least one of status, grpc, within"),
        ("some text", "steadyState[0]", "expected an expectation"),
    ],
)
def test_each_kind_of_expectation_tells_its_own_mistakes(item: str, place: str, says: str) -> None:
    (found,) = problems_of(item)
    assert found.split(": ")[1] == place
    assert says in found


def test_an_expectation_of_each_kind_is_read_and_written() -> None:
    items = (
        FINE, "{title: b, from: client, service: o, good: {within: 300ms}, atLeast: 99%}",
        "{title: c, promql: sum(up) > 3}", "{title: d, from: mesh, service: o, good: {within: 250ms}, atLeast: 99%}",
    )  # fmt: skip
    text = GOOD.split("steadyState:")[0] + "steadyState:\n" + "".join(f"  - {item}\n" for item in items)
    experiment = parse_experiment(text)
    assert [type(one) for one in experiment.steady_state] == [
        Expectation, ClientExpectation, PromqlExpectation, Expectation
    ]  # fmt: skip
    assert Experiment.model_validate(experiment.model_dump(mode="json", by_alias=True)) == experiment


@pytest.mark.parametrize(
    ("item", "says"),
    [(FINE.replace("99%", "50%, duringFault: 40%"), "one bound"), (FINE.replace(", atLeast: 99%", ""), "is missing")],
)
def test_a_guardrail_has_one_bound(item: str, says: str) -> None:
    (found,) = problems_of(item, role="guardrails")
    assert says in found


def test_a_guardrail_may_ask_for_all_events() -> None:
    text = (
        GOOD
        + "guardrails: [{title: g, service: o, good: {status: 2xx}, atLeast: 100%}, {title: h, promql: sum(up) > 3}]"
    )
    assert [one.title for one in parse_experiment(text).guardrails] == ["g", "h"]


def test_a_path_may_be_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(GOOD)
    assert read_experiment(str(file)) == read_experiment(file)
