"""``Table`` output, which is what ``kubectl get`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chaos.lab.api.resources import Column, Resource


def table(
    res: Resource,
    objects: Sequence[Mapping[str, Any]],
    *,
    definitions: bool,
    shown: Callable[[dict[str, Any]], dict[str, Any] | None],
) -> dict[str, Any]:
    """The objects as rows.

    Args:
        res: Their kind.
        objects: A row for each.
        definitions: Whether the columns are described: in a watch, only in its first event.
        shown: What a row shows of its object beside the cells.
    """
    titles = ["Name", *(column.name for column in res.columns), "Age"]
    return {
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "columnDefinitions": [
            {
                "name": title, "type": "date" if title == "Age" and res.custom else "string",
                "format": "name" if title == "Name" else "", "description": "", "priority": 0,
            }
            for title in titles
        ] if definitions else [],
        "rows": [
            {"cells": [obj["metadata"]["name"], *(_cell(obj, column, res) for column in res.columns), _age(obj)],
             "object": shown(dict(obj))}
            for obj in objects
        ],
    }  # fmt: skip


def _cell(obj: Mapping[str, Any], column: Column, res: Resource) -> str | None:
    if column.cell is not None:
        return column.cell(obj)
    nodes = _at(obj, column.path)
    if column.of:
        return f"{_count(nodes)}/{_count(_at(obj, column.of))}"
    if not nodes:
        return None if res.custom else "<none>"
    if len(nodes) == 1 and isinstance(nodes[0], list):
        return json.dumps(nodes[0], separators=(",", ":"), ensure_ascii=False)
    return ",".join(str(node) for node in nodes)


def _count(values: Sequence[Any]) -> int:
    """A number as it is; of anything else, how many are not false."""
    return sum(int(value) for value in values if isinstance(value, int)) or sum(map(bool, values))


def _at(obj: Mapping[str, Any], path: str) -> list[Any]:
    nodes: list[Any] = [obj]
    for step in path.split("."):
        key, many = step.removesuffix("[]"), step.endswith("[]")
        nodes = [node[key] for node in nodes if isinstance(node, Mapping) and node.get(key) is not None]
        if many:
            nodes = [item for node in nodes for item in node]
    return nodes


def _age(obj: Mapping[str, Any]) -> str:
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    seconds = int((datetime.now(UTC) - created).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
