"""Fixtures of the tests of what a run leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.survival.world import CASES, World


@pytest.fixture(params=CASES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world of each case, or of those that a test names by ``parametrize("world", …, indirect=True)``."""
    made = World(tmp_path, request.param)
    yield made
    made.close()
