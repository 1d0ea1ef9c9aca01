"""The JSON Schema for editors accepts what validation accepts, and rejects what it rejects, but for what a schema can't say."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from chaos.adapters.experiment_file import DocumentError, parse_experiment
from chaos.library import TEMPLATES
from chaos.library.schema import file_schema
from chaos.library.template import Template
from tests.support.repository import ROOT

SCHEMA: Final = file_schema()
WHOLE: Final = Draft202012Validator(SCHEMA)

UNSAYABLE: Final = {
    "how long a duration of several parts is": r"expected at least (1s|5s)|at most seven days|whole milliseconds",
    "times that depend on each other": r"is shorter than|stages: expected at most|the comparison looks back",
    "what there is once": r"title of its own|names of their own|expected one for each target",
    "what is named elsewhere in the file": r"one of the load's requests|expected one without a target of its own",
    "parameters of templates that depend on each other": r"bound of the histogram|expected (more than (within|timeOut)|another Service|less than [0-9.]+, since|a percentage of at least)",
    "languages": r"regex: expected|comparison|PromQL|expected a bucket bound|expected (a bound of|a quantity|a multiple|a number of conf)",
    "steps": r"steps of 0.0001",
    "1.0 for a whole number": r"\.0: expected a whole number",
}
"""What validation says beyond the schema; docs/reference/experiment.md lists it."""

TEXTS: Final = (
    *("", "order-svc", "shop/order-svc", "Order", "a b", "/orders", "GET /orders", "shop.example", "x.y[0]", "$", "nightly"),
    *("0%", "0.0 %", "1%", "49.9%", "50%", "99.5%", "99 %", "100%", "100.0%", "101%", " 99% ", "99", "at most 5%", "at least 0%"),
    *("at most 100%", "at most 101%", "baseline", "baseline - 0.5%", "baseline-1%", "baseline + 1%", "baseline - 101%"),
    *("baseline * 2", "baseline * 1", "baseline * 1.5", "baseline*1.0", "baseline * 10", "2", "0", "0.5", "1000000", "250ms"),
    *("0s", "0h0ms", "1ms", "500ms", "999ms", "1s", "1000ms", "4.999s", "5s", "5000ms", "0.5m", "1m30s", "40s", "169h", "0.1ms", "3"),
    *("2xx", "<500", ">= 200", "99", "6xx", "OK", "OK|NOT_FOUND", "OK|", "UNAVAILABLE", "ok", "UO", "FI", "256Mi", "1600m", "3s"),
    *("up > 3", "up", "a\nb", "mesh", "client", "replica", "latency", "pushes", "quick", "critical", "POST", "yes", "true"),
)  # fmt: skip
NUMBERS: Final = (
    *(-1, 0, 1, 2, 20, 100, 101, 199, 200, 503, 599, 600, 1000, 1001, 5000, 5001, 10_000, 10_001, 1_000_000),
    *(0.0, 0.5, 0.00005, 0.95, 1.0, 2.5, 99.9999, 100.5),
)
ANYTHING: Final[tuple[Any, ...]] = (*TEXTS, *NUMBERS, None, True, False, [], {}, [None], {"": 1})

VALID: Final[dict[str, Any]] = YAML(typ="safe").load("""
experiment: orders-survive
target: {namespace: staging, service: inventory-svc}
faults: [{abort: {percentage: 50, httpStatus: 503}}]
load: {requests: [{path: /orders}]}
steadyState: [{title: orders are answered, service: order-svc, good: {status: "<500"}, atLeast: 99%}]
""")


@cache
def check(place: str) -> Draft202012Validator:
    """What checks a part of the schema, by its text."""
    return Draft202012Validator({**json.loads(place), "$defs": SCHEMA["$defs"]})


@cache
def fitting(place: str) -> tuple[Any, ...]:
    """The values that fit a part of the schema, by its text."""
    return tuple(one for one in ANYTHING if check(place).is_valid(one)) or ANYTHING


def values(described: Any) -> st.SearchStrategy[Any]:
    """Values that mostly have the form that a part of the schema describes, and often lie at its bounds."""
    if "$ref" in described:
        described = SCHEMA["$defs"][described["$ref"].rpartition("/")[2]]
    if options := described.get("oneOf") or described.get("anyOf"):
        usual: st.SearchStrategy[Any] = st.one_of([values(option) for option in options])
    elif described.get("type") == "object":
        usual = objects(described)
    elif described.get("type") == "array":
        usual = st.lists(values(described["items"]), max_size=2)
    else:
        usual = st.sampled_from(fitting(json.dumps(described)))
    return st.integers(0, 99).flatmap(lambda n: usual if n else st.sampled_from(ANYTHING))


@st.composite
def objects(draw: st.DrawFn, described: Any) -> Any:
    """Mappings that mostly have the keys that they need and fit together, with some keys that they don't need."""
    made: dict[str, Any] = {}
    for _ in range(3):
        known, needed = described.get("properties", {}), described.get("required", ())
        wanted = {key: draw(st.integers(0, 49)) for key in known}
        made = {key: draw(values(known[key])) for key, n in wanted.items() if (n if key in needed else n > 35)}
        inner = described.get("additionalProperties") or next(
            iter(described.get("patternProperties", {}).values()), None
        )
        if inner:
            names = st.sampled_from(("a", "x.y[0]", "A", "method", "["))
            made |= draw(st.dictionaries(names, values(inner), max_size=2))
        elif not draw(st.integers(0, 49)):
            made["unknown"] = 1
        if check(json.dumps(described)).is_valid(made):
            break
    return made


def problems(document: Any) -> str:
    """What validation says of a document, a line for each problem; nothing if it accepts it."""
    try:
        parse_experiment(json.dumps(document))
    except DocumentError as error:
        return "\n".join(one.message for one in error.problems)
    return ""


def unsayable(said: str) -> bool:
    return all(any(re.search(one, line) for one in UNSAYABLE.values()) for line in said.splitlines())


@pytest.mark.parametrize("key", SCHEMA["properties"])
@settings(max_examples=int(os.environ.get("DOCUMENTS", "15")))
@given(st.data())
def test_schema_and_validation_agree(key: str, data: st.DataObject) -> None:
    document = {**VALID, key: data.draw(values(SCHEMA["properties"][key]))}
    said, fits = problems(document), WHOLE.is_valid(document)
    if fits:
        assert unsayable(said), said
    else:
        assert said, next(WHOLE.iter_errors(document)).message


@settings(max_examples=int(os.environ.get("DOCUMENTS", "15")))
@given(st.sampled_from(TEMPLATES), st.data())
def test_schema_and_validation_agree_on_templates(template: type[Template], data: st.DataObject) -> None:
    known = {"service": "inventory-svc", "path": "/orders", "timeOut": "1s"}
    needed = {key: value for key, value in known.items() if key in SCHEMA["$defs"][template.__name__]["properties"]}
    given = data.draw(values(SCHEMA["$defs"][template.__name__]))
    document = {
        "experiment": "orders",
        "uses": template.key,
        "with": {**needed, **given} if isinstance(given, dict) else given,
    }
    said, fits = problems(document), WHOLE.is_valid(document)
    if fits:
        assert unsayable(said), said
    else:
        assert said, next(WHOLE.iter_errors(document)).message


def filled(described: Any, value: Any) -> Any:
    """A document with each default of the schema written out."""
    if "$ref" in described:
        described = SCHEMA["$defs"][described["$ref"].rpartition("/")[2]]
    for option in described.get("oneOf") or described.get("anyOf") or ():
        if check(json.dumps(option)).is_valid(value):
            return filled(option, value)
    if isinstance(value, list):
        return [filled(described["items"], one) for one in value]
    if not isinstance(value, dict) or "properties" not in described:
        return value
    defaults = {key: one["default"] for key, one in described["properties"].items() if "default" in one}
    return {key: filled(described["properties"][key], one) for key, one in {**defaults, **value}.items()}


def test_defaults_are_those_of_validation() -> None:
    kinds = [
        {"title": "a", "throughput": "order-svc"},
        {"title": "b", "unaffected": ["order-svc"]},
        {"title": "c", "breaker": "order-svc", "opensWithin": "5s"},
        {"title": "d", "fallback": {"body": "later"}, "atLeast": "20%"},
        {"title": "e", "alert": "OrdersFail"},
    ]
    document = {**VALID, "steadyState": VALID["steadyState"] + kinds}
    written = filled(SCHEMA, document)
    assert written["limits"] == {"baseline": "60s", "fault": "120s", "removal": "30s"}
    assert written["load"]["timeout"] == "30s"
    assert parse_experiment(json.dumps(written)) == parse_experiment(json.dumps(document))


@pytest.mark.parametrize("file", sorted(ROOT.glob("experiments/**/*.yaml")), ids=lambda file: file.stem)
def test_experiments_fit_the_schema(file: Path) -> None:
    assert not list(WHOLE.iter_errors(YAML(typ="safe").load(file)))
