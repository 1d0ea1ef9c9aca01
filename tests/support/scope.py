"""How much is run: a share with ``make test``, all with ``make survive``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, TypeVar

import pytest

EVERY: Final = os.environ.get("CHAOS_EVERY") == "1"
survive_only: Final = pytest.mark.skipif(not EVERY, reason="takes long: make survive")
T = TypeVar("T")


def one_of(number: int, cases: Sequence[T]) -> Sequence[T]:
    """One of so many cases in turn, or all of them with ``make survive``."""
    return cases if EVERY else cases[::number]
