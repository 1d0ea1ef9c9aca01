"""What the tests of the load generator share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.adapters.locust_load import LocustLoad
from chaos.model.experiment import Load
from chaos.values.content import Body, Header, Json
from chaos.values.load import LoadSecond
from tests.support.waiting import until

HEADERS = {"x-chaos-run": "k3x9q2ab"}
MARKERS = (
    Header(name="x-stock", value="unknown"),
    Body(text="Bündel"),
    Json(path="stock", value=None),
    Json(path="stock", value=7),
)
DEGRADED = tuple(str(marker) for marker in MARKERS[:3])
"""Those of the answer of ``/stock``."""


def collect(load: LocustLoad, enough: Callable[[list[LoadSecond]], bool], seconds: float = 20.0) -> list[LoadSecond]:
    """Polls as the engine does until there is enough."""
    found: list[LoadSecond] = []

    def more() -> bool:
        found.extend(load.poll())
        return enough(found)

    until(more, within=seconds)
    return found


def whole(found: list[LoadSecond]) -> list[LoadSecond]:
    """The seconds from the first to the last full one: neither the one in which it began nor those before."""
    first = next(index for index, second in enumerate(found) if second.sent)
    return found[first + 1 :]


def outcomes(found: list[LoadSecond]) -> dict[str, set[tuple[int, str]]]:
    """Status and error by the request's name."""
    result: dict[str, set[tuple[int, str]]] = {}
    for second in found:
        for cell in second.cells:
            result.setdefault(cell.request, set()).add((cell.status, cell.error))
    return result


def recognised(found: list[LoadSecond]) -> dict[str, set[tuple[str, ...]]]:
    """Markers by the request's name, where any matched."""
    result: dict[str, set[tuple[str, ...]]] = {}
    for second in found:
        for cell in second.cells:
            if cell.matched:
                result.setdefault(cell.request, set()).add(cell.matched)
    return result


def latencies(found: list[LoadSecond]) -> list[float]:
    """All of them, in milliseconds."""
    return sorted(
        took
        for second in found
        for cell in second.cells
        for took, count in cell.latencies.items()
        for _ in range(count)
    )


def requests(*paths: str, **more: Any) -> Load:
    return Load.model_validate({"requests": [{"path": path} for path in paths], **more})


def begin(load: LocustLoad, spec: Load, entry: str, *, base: Path = Path()) -> None:
    load.prepare(spec, entry=entry, headers=HEADERS, base=base, markers=MARKERS)
    load.start()
