"""Fixtures of whole runs in memory."""

from __future__ import annotations

import pytest

from tests.unit.engine.world import World


@pytest.fixture
def world() -> World:
    """A shop that bears the fault."""
    return World()
