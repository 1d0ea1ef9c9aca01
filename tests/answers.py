"""What Istio's own code answered, recorded beside the checkout or in the folder that ``ISTIO_ANSWERS`` names.

Nothing of it is part of the project, so tests that read it are skipped where it is absent. ``make test`` asks a fixed
sample of the questions, ``make answers`` all.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

Record = Mapping[str, Any]

FOLDER: Final = Path(os.environ.get("ISTIO_ANSWERS") or Path(__file__).parents[2] / "shared" / "data" / "istio-answers")
EVERYTHING: Final = "CHAOS_ANSWERS"
"""Variable that ``make answers`` sets."""
ROOT_NAMESPACE: Final = "istio-system"
_SAMPLE: Final = 20
"""One record of so many is asked in ``make test``."""


def file(name: str) -> Path:
    """A recorded file; the test is skipped where it is absent."""
    found = FOLDER / name
    if not found.exists():
        pytest.skip(f"no recorded answers of Istio: {found} is absent (ISTIO_ANSWERS=FOLDER names another folder)")
    return found


def records(name: str, *, every: int = _SAMPLE) -> Iterator[Record]:
    """The records of a file of JSON lines: all of them, or one of ``every`` in order."""
    step = 1 if os.environ.get(EVERYTHING) else every
    with gzip.open(file(name), "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % step == 0:
                yield json.loads(line)


@dataclass(frozen=True)
class Proxy:
    """A workload that was asked about."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    router: bool = False


def proxies(record: Record) -> list[Proxy]:
    """The proxies of a recorded mesh."""
    return [
        Proxy(one["namespace"], one["name"], one["labels"], one.get("type") == "router") for one in record["proxies"]
    ]


def of_kind(objects: Sequence[Record], kind: str) -> list[Record]:
    """The objects of one kind."""
    return [one for one in objects if one["kind"] == kind]


def minimal() -> list[Record]:
    """The smallest cases of disagreement, with services and proxies as objects, as the other records have them."""
    return [
        {
            **case,
            "services": [_service(text) for text in case["services"]],
            "proxies": [_proxy(text) for text in case["proxies"]],
        }
        for case in yaml.safe_load(file("minimal/cases.yaml").read_text(encoding="utf-8"))
    ]


def _service(text: str) -> Record:
    """Of ``namespace/name: protocol number``, maybe with ``(headless)``; they all have one address."""
    title, _, port = text.removesuffix(" (headless)").partition(": ")
    namespace, _, name = title.partition("/")
    protocol, _, number = port.partition(" ")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2025-01-01T00:00:00Z"},
        "spec": {
            "clusterIP": "None" if text.endswith(" (headless)") else "10.0.0.1",
            "ports": [{"name": protocol, "port": int(number), "targetPort": int(number)}],
            "selector": {"app": name},
        },
    }


def _proxy(text: str) -> Record:
    """Of ``namespace/name {labels}``."""
    title, _, labels = text.partition(" ")
    namespace, _, name = title.partition("/")
    return {"namespace": namespace, "name": name, "labels": ast.literal_eval(labels)}
