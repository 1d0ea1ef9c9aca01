"""Labs of their own, for tests that change what others would feel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.lab import commands
from chaos.lab.state import LabState
from chaos.lab.wanted import Wanted


@contextmanager
def own_lab(
    folder: Path, name: str, *, manifests: Sequence[Path] = (), behaviours: Path | None = None
) -> Iterator[LabState]:
    """A lab in a home of its own, which the commands of this process find; by default with the demo shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAOS_LAB_HOME", str(folder))
        yield commands.up(name, attached=True, wanted=Wanted(manifests, behaviours))
        commands.down(name)
