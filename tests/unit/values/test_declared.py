"""What is wrong with a value that is made in Python is told in plain words, by the names that its user wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chaos import (
    Abort,
    ClientExpectation,
    Delay,
    Expectation,
    Experiment,
    Fault,
    Good,
    InputError,
    Limits,
    Load,
    Match,
    Observe,
    Recovery,
    Request,
    Settings,
    StringMatch,
    Target,
)

ABORT = Abort(percentage=50, http_status=503)
LOAD = Load(requests=[Request("/orders")])
TARGET = Target("staging", "inventory-svc")
ANSWERED = Expectation("answered", service="order-svc", status="<500", at_least="99%")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Abort(percentage=500, http_status=503), "Abort: percentage: 500: expected at most 100"),
        (lambda: Abort(percentage=50), "Abort: expected exactly one of http_status and grpc_status"),
        (
            lambda: Abort(percentage=50, http_stats=503),  # type: ignore[call-arg]
            "Abort: http_stats: is not known here; did you mean http_status?",
        ),
        (lambda: Delay(percentage=1, fixed_delay="3"), "Delay: fixed_delay: '3': expected a duration with its unit"),
        (lambda: Delay(percentage=1, fixed_delay="0s"), "fixed_delay: '0s': expected at least 1ms"),
        (lambda: Fault(), "Fault: expected at least one of abort, delay"),
        (
            lambda: Target("Staging", "a"),
            "Target: namespace: 'Staging': expected only lower-case letters, digits and '-', such as",
        ),
        (
            lambda: Request.post("orders"),
            "Request: path: 'orders': expected a path that begins with / and has no spaces",
        ),
        (lambda: Request.get("/", weight=0), "Request: weight: 0: expected at least 1"),
        (lambda: Load(requests=Request("/a")), "Load: requests: expected a list: requests=[…]"),  # type: ignore[arg-type]
        (lambda: Target("a", "b", callers="c"), "Target: callers: expected a mapping"),  # type: ignore[arg-type]
        (lambda: Fault(abort=TARGET), "Fault: abort: expected an Abort"),  # type: ignore[arg-type]
        (lambda: Expectation("a", service="b", status="5x", at_least="9%"), "Expectation: status: '5x': "),
        (
            lambda: Expectation("a", service="b", within="3ms", at_least="9%"),
            "Expectation: good: within: expected a bucket",
        ),
        (
            lambda: Expectation("a", service="b", good=Good(status="2xx"), status="2xx", at_least="9%"),
            "Expectation: expected either good, or status and within",
        ),
        (
            lambda: Experiment("orders", target=TARGET, faults=[TARGET], load=LOAD, steady_state=[ANSWERED]),  # type: ignore[list-item]
            "Experiment: faults[0]: expected a Fault",
        ),
        (lambda: Load(), "Load: expected either requests or a locustfile"),
        (lambda: Load(requests=[Request("/a"), Request("/a")]), "Load: expected requests with names of their own"),
        (
            lambda: Settings(namespaces=("*",)),
            "Settings: namespaces[0]: '*': the pattern '*' is too wide: expected at least 3 letters",
        ),
        (lambda: Recovery("soon"), "Recovery: within: 'soon': expected a duration"),
        (lambda: Limits(fault="500ms"), "Limits: fault: '500ms': expected at least 1s"),
        (lambda: Match(), "Match: expected at least one of uri, method, headers and query_params"),
        (lambda: StringMatch(exact="a", prefix="b"), "StringMatch: expected one of exact, prefix and regex"),
        (
            lambda: Expectation("a", service="b", status="<500", at_least="99"),
            "Expectation: at_least: '99': expected a share with its percent sign, such as 99%",
        ),
        (
            lambda: ClientExpectation("a", status="<500", at_least="baseline"),
            "ClientExpectation: at_least: 'baseline': expected a share; only during_fault can be relative, since at_least",
        ),
        (
            lambda: Experiment("orders", target=TARGET, faults=[], load=LOAD, steady_state=[ANSWERED]),
            "Experiment: faults: expected at least one entry",
        ),
        (
            lambda: Experiment("orders", target=TARGET, faults=[ABORT], load=LOAD, steady_state=[ANSWERED, ANSWERED]),
            "Experiment: expected every expectation and guardrail to have a title of its own",
        ),
        (
            lambda: Experiment(
                "orders",
                target=TARGET,
                faults=[ABORT],
                load=LOAD,
                steady_state=[ANSWERED],
                guardrails=[Expectation("g", service="a", status="2xx", at_least="9%", during_fault="5%")],
            ),
            "Experiment: guardrails[0]: a guardrail has one bound, at_least, so expected no during_fault",
        ),
    ],
)
def test_one_mistake(make: Callable[[], object], told: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None, "nothing of pydantic is shown"


def test_all_mistakes_of_an_object_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Experiment("Orders", target=3, faults=[ABORT], load=LOAD, steady_state=[], severity="high")  # type: ignore[arg-type]
    assert str(caught.value).splitlines() == [
        "Experiment: ",
        "  experiment: 'Orders': expected only lower-case letters, digits and '-', such as order-svc",
        "  severity: 'high': expected 'blocker', 'critical', 'normal', 'minor' or 'trivial'",
        "  target: 3: expected a Target",
        "  steady_state: expected at least one entry",
    ]


def test_what_python_itself_would_not_take_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="Abort: expected at most 0 positional values, got 1"):
        Abort(50, http_status=503)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Target: got two values for namespace"):
        Target("staging", "a", namespace="b")  # type: ignore[misc]


def test_a_value_is_frozen() -> None:
    with pytest.raises(AttributeError, match="Abort is frozen: percentage can't be set, make another one"):
        ABORT.percentage = 3  # type: ignore[misc]


def test_values_by_their_place_and_by_name_are_the_same() -> None:
    assert Recovery("30s") == Recovery(within="30s")
    assert Request.post("/orders", weight=2) == Request("/orders", method="POST", weight=2)
    assert Target("staging", "a") == Target(namespace="staging", service="a")


_JARGON = re.compile(
    r"pydantic|https?://|\bvalid\b|\binstance\b|dictionary|\btuple\b|\bInput\b|unable to|\bshould\b|type=",
    re.IGNORECASE,
)
_RIGHT: dict[str, Any] = {
    "target": Target("staging", "inventory-svc"),
    "faults": [Abort(percentage=50, http_status=503)],
    "load": Load(requests=[Request("/x")]),
    "steady_state": [Expectation("answered", service="order-svc", status="<500", at_least="99%")],
}
_VALUES: tuple[Any, ...] = (
    None,
    "x",
    "",
    3,
    -1,
    1e9,
    1.5,
    True,
    float("nan"),
    [],
    ["x"],
    [3],
    {},
    {"x": 1},
    object(),
    (1, 2),
    "99%",
    "3s",
)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        (Experiment, {"experiment": "a", **_RIGHT}),
        (Target, {"namespace": "staging", "service": "inventory-svc"}),
        (Abort, {"percentage": 50, "http_status": 503}),
        (Delay, {"percentage": 50, "fixed_delay": "1s"}),
        (Load, {"requests": [Request("/x")]}),
        (Request, {"path": "/x"}),
        (Limits, {}),
        (Recovery, {}),
        (Observe, {}),
        (Expectation, {"title": "t", "service": "s", "status": "<500", "at_least": "99%"}),
    ],
)
def test_every_wrong_value_is_told_in_our_words(kind: Any, right: dict[str, Any]) -> None:
    told = []
    for name in (*kind.model_fields, "unknown"):
        for value in _VALUES:
            with suppress(InputError):
                kind(**{**right, name: value})
                continue
            with pytest.raises(InputError) as caught:
                kind(**{**right, name: value})
            told.append(str(caught.value).replace(repr(value), "…"))
    assert told
    assert [text for text in told if _JARGON.search(text)] == []
