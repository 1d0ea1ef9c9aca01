"""A lab for one measurement alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.lab import commands
from chaos.lab.state import LabState


@contextmanager
def own_lab() -> Iterator[LabState]:
    """A lab that ends with the block, and at the latest with this process."""
    name = f"measured-{time.time_ns()}"
    try:
        yield commands.up(name, attached=True)
    finally:
        commands.down(name)
