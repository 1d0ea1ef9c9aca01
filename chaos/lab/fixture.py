"""A running lab for as long as a ``with`` block lasts: the one that runs, else one of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chaos.errors import LabError
from chaos.lab import commands
from chaos.lab.state import DEFAULT_NAME, LabState


@contextmanager
def running_lab(
    name: str | None = None,
    *,
    timeout: float = commands.START_TIMEOUT,
    on_progress: Callable[[str], None] | None = None,
) -> Iterator[LabState]:
    """Reuses a running lab, or starts one that ends with the block, and at the latest with this process.

    Args:
        name: The lab to reuse or start. By default the default lab is reused; where it doesn't run, one with a name of
            its own is started, so that several processes can do so side by side.
        timeout: Seconds that the start may take.
        on_progress: Told what is being done, in words.

    Raises:
        LabError: The lab that runs has a dead part, or none could be started.
    """
    if commands.running(name or DEFAULT_NAME) is not None:
        found = commands.status(name or DEFAULT_NAME)
        if found.running:
            if not found.healthy or found.state is None:
                raise LabError(
                    f"the lab {found.name!r} is not whole: {found.detail}", hint="chaosctl lab down, then up"
                )
            yield found.state
            return
    own = name or f"own-{os.getpid()}-{secrets.token_hex(3)}"
    state = commands.up(own, attached=True, timeout=timeout, on_progress=on_progress)
    try:
        yield state
    finally:
        commands.down(own)
