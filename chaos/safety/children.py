"""What processes get that a run starts."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

_OURS: Final = ("CHAOS_PROMETHEUS", "CHAOS_ENTRY")
"""Addresses may have a password; whoever is started is told them by a pipe, if at all."""


def environment_of_child(hidden: Collection[str] = ()) -> dict[str, str]:
    """This process's environment, which others on the machine may read in a list of processes, without our secrets.

    Args:
        hidden: Variables that have one.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS) and name not in hidden}
