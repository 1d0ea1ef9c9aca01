"""What stand-ins are declared to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chaos.errors import InputError
from chaos.lab.workloads.behaviour import FORWARDED, Behaviour, Call, Route, fill


def test_no_annotation_answers_everything() -> None:
    behaviour = Behaviour.parse(None)
    assert [route.match("GET", "/any/thing") for route in behaviour.routes] == [{}]
    assert behaviour.forward_headers == FORWARDED


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        ("/orders/{id}", "/orders/42", {"id": "42"}),
        ("/orders/{id}", "/orders/42/", {"id": "42"}),
        ("/orders/{id}", "/orders/", None),
        ("/orders/{id}", "/orders/1/2", None),
        ("/orders", "/orders", {}),
        ("/recommend*", "/recommend/any", {}),
        ("/a.b", "/aXb", None),
    ],
)
def test_paths(path: str, asked: str, expected: dict[str, str] | None) -> None:
    assert Route(path=path).match("GET", asked) == expected


def test_a_method_narrows_a_route() -> None:
    assert Route(path="/orders", method="POST").match("GET", "/orders") is None
    assert Route(path="/orders", method="POST").match("POST", "/orders") == {}


def test_a_declared_call() -> None:
    behaviour = Behaviour.parse("""
        routes:
          - path: /orders/{id}
            latency: 5ms
            errors: {share: 1%, status: 503}
            calls:
              - {url: "http://inventory-svc:8080/stock/{id}", timeout: 300ms, retries: 1, fallback: {stock: unknown}}
    """)
    (route,) = behaviour.routes
    assert route.latency == timedelta(milliseconds=5)
    assert route.errors is not None
    assert route.errors.share == 0.01
    assert route.calls == (
        Call(
            url="http://inventory-svc:8080/stock/{id}",
            timeout=timedelta(milliseconds=300),
            retries=1,
            fallback={"stock": "unknown"},
        ),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routes: [", "not YAML"),
        ("routes: [{path: orders}]", "routes.0.path"),
        ("routes: [{path: /a, latency: 5}]", "expected a duration with its unit"),
        ("routes: [{path: /a, calls: [{url: ftp://x/}]}]", "routes.0.calls.0.url"),
        ("routs: []", "routs: Extra inputs are not permitted"),
        ("- 1", "the whole"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Behaviour.parse(text, where="Pod staging/a")
    assert caught.value.message.startswith("Pod staging/a: ")
    assert said in caught.value.message


def test_parameters_fill_strings_at_any_depth() -> None:
    assert fill({"a": ["{id}", 1], "b": {"c": "x{id}y"}}, {"id": "7"}) == {"a": ["7", 1], "b": {"c": "x7y"}}
