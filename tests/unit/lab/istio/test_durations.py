"""Go's durations, for Envoy, which reads seconds alone."""

from __future__ import annotations

import pytest

from chaos.lab.istio.durations import nanoseconds, protobuf


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("500ms", "0.5s"), ("1m", "60s"), ("1h30m", "5400s"), ("1.5s", "1.5s"), ("0.1s", "0.1s"), ("1ns", "0.000000001s"),
        ("0", "0s"), ("0s", "0s"), ("10s", "10s"), ("1m1ms", "60.001s"), ("-2m", "-120s"),
    ],
)  # fmt: skip
def test_a_duration_in_seconds(written: str, told: str) -> None:
    assert protobuf(written) == told


def test_what_is_none_is_no_configuration() -> None:
    with pytest.raises(ValueError, match="no duration: '1 minute'"):
        protobuf("1 minute")


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("-0", 0), ("+1s", 10**9), (".5us", 500), ("1.s", 10**9), ("1\u00b5s", 1000), ("1\u03bcs", 1000), ("2562047h47m16.854775807s", 2**63 - 1)],
)  # fmt: skip
def test_what_go_takes(text: str, nanos: int) -> None:
    assert nanoseconds(text) == nanos


@pytest.mark.parametrize(
    "text", ["", "00", "1", ".s", "s", "1 s", "1e3s", "1.5.5s", "\uff11s", "1s\n", "9999999h", "1" * 100_000]
)
def test_what_go_does_not_take(text: str) -> None:
    assert nanoseconds(text) is None
