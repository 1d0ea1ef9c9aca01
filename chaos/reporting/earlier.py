"""Records of earlier formats in today's form. Nothing else knows what they looked like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Document = Mapping[str, Any]


def upgraded(document: Document) -> Document:
    """A record's document in today's form; one that is no record may raise anything that wrong data raise."""
    while step := _STEPS.get(document["format"]):
        document = {**step(document), "format": document["format"] + 1}
    return document


def _from_1(document: Document) -> Document:
    """Events were told in words; that a place is the lab was to be seen by its context's name."""
    place = document["environment"]
    return {
        **document,
        "environment": {"lab": place["context"].startswith("chaos-lab"), **place},
        "events": [
            {"kind": "noted", "at": event["at"], "text": f"{event['kind']}: {event['message']}"}
            for event in document.get("events", ())
        ],
    }


_STEPS: Final[Mapping[int, Callable[[Document], Document]]] = {1: _from_1}
