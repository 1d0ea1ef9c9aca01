"""Go's durations: what Go reads, and nothing else."""

from __future__ import annotations

import pytest

from chaos.istio.durations import nanoseconds


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("-0", 0), ("+1s", 10**9), (".5us", 500), ("1.s", 10**9), ("1\u00b5s", 1000), ("1\u03bcs", 1000), ("2562047h47m16.854775807s", 2**63 - 1)],
)  # fmt: skip
def test_what_go_takes(text: str, nanos: int) -> None:
    assert nanoseconds(text) == nanos


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "1",
        ".s",
        "s",
        "1 s",
        "1e3s",
        "1.5.5s",
        "\uff11s",
        "1s\n",
        "1d",
        "1s 2m",
        "1s and 2m",
        "9999999h",
        "1" * 100_000,
    ],
)
def test_what_go_does_not_take(text: str) -> None:
    assert nanoseconds(text) is None
