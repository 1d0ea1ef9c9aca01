"""Recorded answers of Istio's own code, read where they are: beside the checkout, or in the folder that ISTIO_ANSWERS names.

One JSON object a line, packed. Nothing of it is copied into the project; a test that needs it is skipped where it is absent.
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

ROOT_NAMESPACE: Final = "istio-system"
FOLDER: Final = Path(os.environ.get("ISTIO_ANSWERS") or Path(__file__).parents[3] / "shared" / "data" / "istio-answers")
WHOLE: Final = bool(os.environ.get("ISTIO_ANSWERS_WHOLE"))
"""Whether every record is asked about (``make answers``), and not a sample only."""


def files(folder: str) -> tuple[str, ...]:
    """The recordings in a folder, whatever they are called."""
    return tuple(sorted(f"{folder}/{found.name}" for found in (FOLDER / folder).glob("*.jsonl.gz")))


def needed(*names: str) -> pytest.MarkDecorator:
    """Skips where one of these files, or any recording in one of these folders, is absent, saying so."""
    absent = [name for name in names if not (FOLDER / name).is_file() and not files(name)]
    return pytest.mark.skipif(bool(absent), reason=f"no recorded answers of Istio: {FOLDER} has no {', '.join(absent)}")


def records(name: str, *, some: int | None = None) -> Iterator[dict[str, Any]]:
    """The records of a file, or about so many of them, the same on each run, where not all are asked about."""
    with gzip.open(FOLDER / name, "rt", encoding="utf-8") as opened:
        lines = opened.readlines()
    step = 1 if WHOLE or some is None else max(1, len(lines) // some)
    yield from map(json.loads, lines[::step])


def all_of(names: Sequence[str], *, some: int | None = None) -> Iterator[dict[str, Any]]:
    """The records of several files."""
    for name in names:
        yield from records(name, some=some)


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
        for case in yaml.safe_load((FOLDER / "minimal" / "cases.yaml").read_text(encoding="utf-8"))
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
