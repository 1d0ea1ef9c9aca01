"""Go's durations, for Envoy, which reads seconds alone."""

from __future__ import annotations

import pytest

from chaos.lab.istio.durations import protobuf


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
