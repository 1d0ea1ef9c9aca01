"""Counting by second: rounding, weights, words for errors, intended arrivals."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from itertools import islice

import pytest

from chaos.adapters.locust_seconds import Seconds, by_weight, in_words, rounded_up

PROMPT = {"judged": None, "lag": 0.0, "held": 0.0}


@pytest.mark.parametrize(
    ("took", "expected"),
    [
        (0.0, 0.0), (-1.0, 0.0), (0.12345, 0.124), (1.0, 1.0), (1.001, 1.01), (99.91, 100.0), (100.0, 100.0),
        (249.01, 250.0), (250.0, 250.0), (1234.0, 1240.0), (29_999.0, 30_000.0), (30_000.0, 30_000.0),
    ],
)  # fmt: skip
def test_latencies_are_rounded_up_to_three_digits(took: float, expected: float) -> None:
    assert rounded_up(took) == expected


def test_a_bound_is_never_passed_by_rounding() -> None:
    for step in range(1, 3000):
        took = step * 0.137
        assert took - 1e-6 <= rounded_up(took) <= took * 1.01


def test_weights_are_kept_exactly_and_spread() -> None:
    turns = list(islice(by_weight([5, 1, 1]), 70))
    assert Counter(turns) == {0: 50, 1: 10, 2: 10}
    assert turns[:7] == [0, 0, 1, 0, 2, 0, 0]
    assert list(islice(by_weight([10_000]), 3)) == [0, 0, 0]


def _wrapped(error: Exception, inside: Exception) -> Exception:
    error.original = inside  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (TimeoutError("timed out"), "timeout"),
        (socket.gaierror(-2, "Name or service not known"), "name not resolved"),
        (_wrapped(RuntimeError("retries exceeded"), TimeoutError()), "timeout"),
        (OSError(RuntimeError("wrapped", ConnectionResetError())), "connection reset"),
        (UnicodeEncodeError("latin-1", "ü", 0, 1, "no"), "UnicodeEncodeError"),
    ],
)
def test_reasons_are_a_word_or_two(error: Exception, words: str) -> None:
    assert in_words(error) == words


def test_a_reason_that_contains_itself_ends() -> None:
    error = RuntimeError()
    error.__cause__ = error
    assert in_words(error) == "RuntimeError"


@pytest.mark.parametrize("rate", [0.3, 1.0, 7.0, 33.3, 5000.0])
def test_intended_arrivals_add_up(rate: float) -> None:
    seconds = Seconds(rate)
    at = int(seconds.now())
    assert seconds.take(at)["intended"] == 0, "not begun"
    seconds.began = time.perf_counter()
    begin = seconds.now()
    intended = [seconds.take(at)["intended"] for at in range(int(begin) - 2, int(begin) + 60)]
    assert intended[:2] == [0, 0]
    assert sum(intended) == pytest.approx((int(begin) + 60 - begin) * rate, abs=1)
    assert all(abs(one - rate) < 1 for one in intended[3:])


def test_what_is_counted_is_told_once() -> None:
    seconds = Seconds()
    seconds.sent(0.25)
    seconds.sent(0.1)
    seconds.answered("GET /", 200, "", 12.34)
    seconds.answered("GET /", 200, "", 12.31)
    seconds.answered("GET /", 0, "timeout", 30_000)
    now = int(seconds.now())
    told = [json.loads(seconds.line(at)) for at in (now - 1, now)]  # it may have been a moment before
    found = next(one for one in told if one["cells"])
    assert (found["intended"], found["sent"], found["worst_lag"]) == (2, 2, 0.25)
    assert found["cells"] == [
        {"request": "GET /", "status": 200, "error": "", "matched": [], **PROMPT, "latencies": {"12.4": 2}},
        {"request": "GET /", "status": 0, "error": "timeout", "matched": [], **PROMPT, "latencies": {"30000.0": 1}},
    ]
    assert seconds.take(found["at"])["cells"] == []


def test_requests_under_way_are_told_with_the_time_they_have_waited() -> None:
    seconds = Seconds()
    at = int(seconds.now())

    def request(path: str) -> str:
        assert path == "/slow"
        assert seconds.take(at)["waiting"] == [], "not for a second yet"
        (waited,) = seconds.take(at + 2)["waiting"]
        assert 1 < waited < 3
        return "answer"

    assert seconds.watched(request)("/slow") == "answer"
    assert seconds.take(at + 3)["waiting"] == []


def test_a_request_that_was_started_late_and_one_that_was_under_way_while_nothing_ran_are_told_apart() -> None:
    seconds = Seconds()
    seconds.alive()
    time.sleep(0.2)
    seconds.answered("GET /", 200, "", 300.0)
    seconds.answered("GET /", 200, "", 300.0, lag=0.3)
    seconds.answered("GET /", 200, "", 20.0, lag=0.004)
    now = int(seconds.now())
    cells = [cell for at in (now - 1, now) for cell in seconds.take(at)["cells"]]
    under_way, late, prompt = [(cell["lag"], cell["held"]) for cell in cells]
    assert under_way[0] == 0.0
    assert 200 <= under_way[1] <= 300, "it was blocked for two tenths of a second, or a little longer"
    assert late == (300.0, 0.0), "it was started when that was over"
    assert prompt[0] == 0.0, "four milliseconds are nothing"


def test_what_it_had_of_the_processor_is_told() -> None:
    seconds = Seconds()
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    worked = seconds.take(0)["cpu"]
    time.sleep(0.3)
    idle = seconds.take(1)["cpu"]
    assert idle < worked
    assert seconds.take(2)["cpu"] == idle, "two that are told at once have the same"
