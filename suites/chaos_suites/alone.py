"""Tests that would disturb each other take turns, in whatever process they run."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Collection
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO


class Alone:
    """Holds names of one cluster against the user's other tests, for as long as a ``with`` block; the kernel frees what a dead process held.

    Args:
        cluster: The cluster's UID.
    """

    def __init__(self, cluster: str) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"chaos-suites-{os.getuid()}-{cluster}"
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def take(self, names: Collection[str], *, mesh: bool = False) -> None:
        """Waits until nobody else holds one of these names, then holds them.

        All at once: whoever waits for a name holds none meanwhile, so that no two wait for each other, and nobody waits for names that
        nobody uses.

        Args:
            names: Services, paths and files.
            mesh: Hold the whole mesh, so that no other test runs; otherwise hold it together with the others.
        """
        wanted = {"mesh": fcntl.LOCK_EX if mesh else fcntl.LOCK_SH}
        wanted |= {sha256(name.encode()).hexdigest(): fcntl.LOCK_EX for name in sorted(set(names))}
        waits: str | None = next(iter(wanted))
        while waits:
            with ExitStack() as held:
                self._lock(waits, wanted[waits], held)
                waits = next(
                    (name for name in wanted if name != waits and not self._try(name, wanted[name], held)), None
                )
                if not waits:
                    self._held.push(held.pop_all())

    def _try(self, name: str, how: int, held: ExitStack) -> bool:
        """Whether it is free, and held now."""
        try:
            self._lock(name, how | fcntl.LOCK_NB, held)
        except BlockingIOError:
            return False
        return True

    def _lock(self, name: str, how: int, held: ExitStack) -> None:
        path = self._folder / name
        while True:
            with suppress(FileExistsError):  # not ``exist_ok``, which fails if it is removed meanwhile
                self._folder.mkdir()
            with ExitStack() as opened:
                try:
                    file = opened.enter_context(path.open("a"))
                except FileNotFoundError:  # the folder was removed by who was the last there
                    continue
                fcntl.flock(file, how)
                if _is(path, file):
                    opened.pop_all()
                    break
        held.callback(self._free, path, file)

    def _free(self, path: Path, file: TextIO) -> None:
        """Frees it, and removes the file that nobody else holds; who waits for that file finds out, and makes another one."""
        with file, suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            self._folder.rmdir()


def _is(path: Path, file: TextIO) -> bool:
    """Whether a file is the one that has the path now."""
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
