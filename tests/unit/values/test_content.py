"""By what an answer's content is recognised."""

from __future__ import annotations

import pytest

from chaos.expectations.good import Good
from chaos.values.content import Body, Content, Header, Json, Scalar

BODY = '{"stock": null, "lines": [{"source": "cache", "n": 1}], "degraded": true, "a b": "ü", "x.y": 1.0}'
ANSWER = Content({"X-Stock": "unknown"}, BODY.encode())


@pytest.mark.parametrize(("path", "value"), [
    ("stock", None), ("$.stock", None), ("lines[0].source", "cache"), ("$.lines[0].n", 1), ("lines[0].n", 1.0),
    ("degraded", True),
])  # fmt: skip
def test_a_value_in_its_json_is_found(path: str, value: Scalar) -> None:
    assert Json(path=path, value=value).matches(ANSWER)
    assert Good(json_path={path: value}).markers == (Json(path=path, value=value),)


@pytest.mark.parametrize(("path", "value"), [
    ("nothing", None), ("lines", None), ("lines[1].source", "cache"), ("lines.source", "cache"), ("stock.of", None),
    ("lines[0].n", "1"), ("lines[0].n", True), ("degraded", "true"), ("degraded", 1), ("lines[0].source[0]", "c"),
])  # fmt: skip
def test_what_is_not_there_or_of_another_type_does_not_match(path: str, value: Scalar) -> None:
    assert not Json(path=path, value=value).matches(ANSWER)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\x00", b"[" * 100_000, b'"stock"'])
def test_a_body_that_is_no_such_json_does_not_match(body: bytes) -> None:
    assert not Json(path="stock", value=None).matches(Content({}, body))


def test_headers_are_known_in_any_case_and_texts_by_their_letters() -> None:
    assert Header(name="x-STOCK", value="unknown").matches(ANSWER)
    assert not Header(name="x-stock", value="Unknown").matches(ANSWER)
    assert not Header(name="x-other", value="").matches(ANSWER)
    assert Body(text='"ü"').matches(ANSWER)
    assert not Body(text="cached").matches(ANSWER)


def test_markers_say_what_they_look_for() -> None:
    good = Good(header={"x-stock": "unknown"}, body="cached", json_path={"lines[0].n": 1, "degraded": True})
    assert str(good) == (
        'with header x-stock: unknown and with "cached" in the body and with JSON lines[0].n = 1 and with JSON degraded = true'
    )
