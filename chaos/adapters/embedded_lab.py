"""The seam to the embedded lab: the only place that reaches it, by an entry point, so that nothing here imports it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Final, Protocol

from chaos.errors import LabError
from chaos.values.access import MeshAccess

GROUP: Final = "chaos.lab"
"""The group of entry points in which the package that has a lab names the module that is its door."""


class Lab(Protocol):
    """The lab's door. ``chaos.lab.door`` is one, and says what each of these promises."""

    def running(self) -> MeshAccess | None:
        """The default lab, if somebody has started it."""

    def use(self, own: str, *, owner: int, told: Callable[[str], None] = ...) -> MeshAccess:
        """The lab that is there for all, else one that ends with a process."""

    def end(self, name: str) -> None:
        """Ends a lab that ``use`` has started."""

    def name_of(self, lab: MeshAccess) -> str:
        """The name by which its commands know a lab that ``running`` or ``use`` has given."""

    def command(self, arguments: Sequence[str], *, staging_labels: Callable[[], Mapping[str, str]]) -> None:
        """Runs one of the lab's own commands."""


def find_lab() -> Lab:
    """The lab of this installation.

    Raises:
        LabError: There is none, or it lacks packages.
    """
    found = next(iter(entry_points(group=GROUP)), None)
    if found is None:
        raise LabError(
            f"the embedded lab is not installed: no package has an entry point {GROUP!r}",
            hint="install the harness again (scripts/setup in a checkout), or name the context of a cluster",
        )
    try:
        lab: Lab = found.load()
    except ImportError as error:
        raise LabError(
            f"the embedded lab can't be loaded: {error}",
            hint="install the package that has this module, or name the context of a cluster",
        ) from error
    return lab


@contextmanager
def lab_in_use() -> Iterator[MeshAccess]:
    """The lab that runs, else one of this process's own that ends with the ``with`` block.

    Raises:
        LabError: The lab that runs has a dead part, or none can be started.
    """
    lab, own = find_lab(), f"own-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        yield lab.use(own, owner=os.getpid())
    finally:
        lab.end(own)
