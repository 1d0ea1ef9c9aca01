"""A table of ``services.toml`` with its configuration in the mesh, for the time of a test."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import pytest
from ruamel.yaml import YAML

from chaos import Harness, InputError
from chaos.values.questions import Pushes
from chaos.values.unreadable import UNREADABLE, fault_of
from chaos_suites.alone import Alone
from chaos_suites.asking import PODS, Entry
from chaos_suites.services import Services
from chaos_suites.tables import Hop, Part
from chaos_suites.watching import OBEYED

P = TypeVar("P", bound=Part)
Q = TypeVar("Q", bound=Part)
_NOBODY: Final = 404
"""What a gateway answers that has no route."""
_DEBOUNCE: Final = 5.0
"""Seconds for which istiod may wait for further changes before it sends anything, and some."""


class Configure:
    """Called with a table, gives it back once its configuration holds; what it wrote is put back with the ``with`` block.

    Args:
        harness: Where.
        services: All tables.
        entry: The mesh's entry.
        alone: Keeps other tests away from the services that the table names.
    """

    def __init__(self, harness: Harness, services: Services, entry: Entry, alone: Alone) -> None:
        self._harness, self._services, self._entry, self._alone = harness, services, entry, alone
        self._changes = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._changes.__exit__(kind, error, trace)

    def __call__(self, part: P | None, *, mesh: bool = False) -> P:
        """The table; the test is skipped where there is none, or where its configuration may not be written.

        Args:
            part: The table, if the file has it.
            mesh: No other test may run meanwhile.
        """
        found = _there(part)
        self._alone.take(_held(found), mesh=mesh)
        self._write(found)
        return found

    def both(self, first: P | None, second: Q | None) -> tuple[P, Q]:
        """Two tables at once, so that no other test holds one of them and waits for the other."""
        found, other = _there(first), _there(second)
        self._alone.take((*_held(found), *_held(other)))
        self._write(found)
        self._write(other)
        return found, other

    def _write(self, part: Part) -> None:
        if not part.configuration:
            return
        namespace = self._services.namespace
        if namespace not in self._harness.place.settings.changes:
            pytest.skip(
                f"it changes Istio's configuration, which nothing allows in {namespace}: add `changes = [{namespace!r}]` to "
                "[tool.chaos], or apply the files yourself and remove `configuration` from the table"
            )
        before = self._pushed()
        self._changes.enter_context(self._harness.changed(*_objects(part.configuration, namespace)))
        self._wait(part, before)

    def _wait(self, part: Part, before: float | None) -> None:
        """Until the proxies have it, as far as that can be told for any kind of object.

        That is, until istiod has sent configuration since, or that would have been seen, since what changes nothing is not sent; and
        until the path is answered by all who may answer it, since the entry may lack its route, and a pod may still have the policy of the test
        before. What takes longer, each test sees by itself.
        """
        began, scrape = time.monotonic(), self._harness.place.environment.scrape_interval
        seen = Counter[int]()
        while (passed := time.monotonic() - began) < OBEYED:
            if before is None or (self._pushed() or 0.0) > before or passed > _DEBOUNCE + 2 * scrape:
                seen = self._entry.ask(part.path, PODS, method=part.method) if isinstance(part, Hop) else Counter()
                if all(200 <= status < 400 for status in seen):
                    return
            time.sleep(0.2)
        if _NOBODY in seen:
            pytest.fail(
                f"inconclusive: {', '.join(one.name for one in part.configuration)}: the entry has no route for its path within "
                f"{OBEYED:g} s",
                pytrace=False,
            )

    def _pushed(self) -> float | None:
        """Configurations that istiod has sent so far; ``None`` where nobody counts them."""
        window = 5 * self._harness.place.environment.scrape_interval
        found = self._harness.place.metrics.samples(Pushes(), seconds=window)
        return sum(one.samples[-1][1] for one in found if one.samples) if found else None


def _there(part: P | None) -> P:
    if part is None:
        pytest.skip("services.toml has no table for it (docs/reference/suites.md)")
    return part


def _held(part: Part) -> tuple[str, ...]:
    """What no other test may use meanwhile: its services and paths, and the objects of its configuration."""
    return (*part.uses, *part.asks, *(file.name for file in part.configuration))


def _objects(files: Sequence[Path], namespace: str) -> Iterator[dict[str, Any]]:
    """What the files hold; objects that name no namespace are for that of the services, as ``kubectl -n`` does.

    Raises:
        InputError: a file can't be read.
    """
    for file in files:
        try:
            documents = list(YAML(typ="safe", pure=True).load_all(file.read_text(encoding="utf-8")))
        except UNREADABLE as error:
            raise InputError(f"{file}: expected YAML that can be read: {fault_of(error)}") from None
        for one in documents:
            if isinstance(one, dict):
                yield {**one, "metadata": {"namespace": namespace, **(one.get("metadata") or {})}}
