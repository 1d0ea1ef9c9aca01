"""Go's durations, as Istio's resources write them, turned into protobuf's, which Envoy reads."""

from __future__ import annotations

from chaos.istio.durations import nanoseconds


def protobuf(text: str) -> str:
    """A Go duration as protobuf's JSON has it, in seconds alone: ``1m`` as ``60s``, ``1.5ms`` as ``0.0015s``.

    Raises:
        ValueError: It is no duration; the validation lets none pass.
    """
    nanos = nanoseconds(text)
    if nanos is None:
        raise ValueError(f"no duration: {text!r}")
    whole, part = divmod(abs(nanos), 10**9)
    fraction = f".{part:09}".rstrip("0") if part else ""
    return f"{'-' if nanos < 0 else ''}{whole}{fraction}s"


def whole_seconds(text: str) -> int:
    """The seconds of a Go duration without their fraction, for what Envoy takes as a number."""
    return (nanoseconds(text) or 0) // 10**9
