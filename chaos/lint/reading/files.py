"""Finds the files of a repository that may hold manifests; says what it leaves out and why."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.errors import InputError
from chaos.lint.reading.git_ignored import ignored
from chaos.lint.rules.finding import Finding, Place
from chaos.lint.rules.table import RULES

STDIN: Final = "-"
SUFFIXES: Final = (".yaml", ".yml", ".json")
SKIPPED: Final = frozenset({
    ".git", ".hg", ".svn", "node_modules", ".venv", "venv", ".tox", ".nox", "__pycache__", ".terraform",
    ".mypy_cache", ".pytest_cache", ".ruff_cache",
})  # fmt: skip
"""Folders that hold what others wrote, and nothing that is applied."""
_TOLD: Final = 3
LARGEST: Final = 64 * 2**20
"""Bytes above which a file is no manifest that anybody applies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file's bytes."""

    name: str
    segments: tuple[str, ...]
    content: bytes


Found = Source | Finding | str
"""A text says what was not looked at, and why."""


def find(paths: Sequence[str]) -> Iterator[Found]:
    """The files that are named, those below the folders that are named, and standard input for ``-``.

    A link to a file below the same folder is looked at under its own name; links to folders are never followed. What Git
    ignores is looked at only where it is named itself.

    Raises:
        InputError: a path that is named isn't there or can't be read.
    """
    seen: set[str] | None = set() if len(paths) > 1 else None
    for path in paths:
        if path == STDIN:
            yield Source(name=STDIN, segments=(), content=sys.stdin.buffer.read())
            continue
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - Path would lose how the path was written
        except OSError as error:
            raise InputError(
                f"{path}: expected a file or folder of manifests: {error.strerror}", hint="`-` reads standard input"
            ) from error
        base = _base(path, folder=stat.S_ISDIR(mode))
        if stat.S_ISDIR(mode):
            yield from _below(path, base, seen)
        elif not stat.S_ISREG(mode):  # <(helm template …)
            yield Source(name=path, segments=(), content=_content(path, named=True))
        elif (chart := _chart_of(path)) is not None:
            yield _of_a_chart(path, chart)
        elif _is_new(path, seen):
            yield from _file(path, base, named=True)


def _below(top: str, base: str, seen: set[str] | None) -> Iterator[Found]:
    real_top = os.path.realpath(top)

    troubles: list[Finding] = []

    def unreadable(error: OSError) -> None:
        troubles.append(_unreadable(str(error.filename), error))

    if (chart := _chart_of(os.path.join(top, "x"))) is not None:  # noqa: PTH118
        yield _of_a_chart(top, chart)
        return
    left_out = ignored(top)
    named: list[str] = []
    for folder, folders, below in os.walk(top, onerror=unreadable):
        folders[:] = sorted(one for one in folders if one not in SKIPPED)
        files = [one for one in below if one.lower().endswith(SUFFIXES)]
        for listed in (folders, files) if left_out else ():
            gone = [one for one in listed if os.path.abspath(os.path.join(folder, one)) in left_out]  # noqa: PTH100, PTH118
            named += [os.path.normpath(os.path.join(folder, one)) for one in gone]  # noqa: PTH118
            listed[:] = [one for one in listed if one not in gone]
        if "templates" in folders and "Chart.yaml" in files:
            folders.remove("templates")
            yield _of_a_chart(os.path.join(folder, "templates"), folder)  # noqa: PTH118
        for one in folders:
            path = os.path.normpath(os.path.join(folder, one))  # noqa: PTH118
            if os.path.islink(path):  # noqa: PTH114
                where = "checked at its destination" if _inside(path, real_top) else f"out of {top}, not followed"
                yield f"{path}: a link to a folder, {where}"
        for one in sorted(files):
            path = os.path.normpath(os.path.join(folder, one))  # noqa: PTH118
            if os.path.islink(path):  # noqa: PTH114
                if not os.path.exists(path):  # noqa: PTH110
                    yield f"{path}: a link to nothing, or to itself"
                    continue
                if not _inside(path, real_top):
                    yield f"{path}: a link out of {top}, not followed"
                    continue
            if _is_new(path, seen):
                yield from _file(path, base, named=False)
    if named:
        more = f" and {len(named) - _TOLD} more" if len(named) > _TOLD else ""
        told = ", ".join(sorted(named)[:_TOLD])
        yield f"{told}{more}: ignored by Git, so not checked; name it on the command line to check it"
    yield from troubles


def _file(path: str, base: str, *, named: bool) -> Iterator[Found]:
    try:
        found = os.stat(path)  # noqa: PTH116
        if not stat.S_ISREG(found.st_mode):
            yield f"{path}: not a regular file"
            return
        if found.st_size > LARGEST:
            yield f"{path}: {found.st_size / 2**20:.0f} MiB, and at most {LARGEST // 2**20} MiB are checked"
            return
        content = _content(path, named=named)
    except OSError as error:
        yield _unreadable(path, error)
        return
    segments = Path(os.path.relpath(os.path.abspath(path), base)).parts  # noqa: PTH100
    yield Source(name=path, segments=segments, content=content)


def _content(path: str, *, named: bool) -> bytes:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            return stream.read()
    except OSError as error:
        if named:
            raise InputError(f"{path}: expected a file that can be read: {error.strerror}") from error
        raise


def _unreadable(path: str, error: OSError) -> Finding:
    return Finding(
        RULES["unreadable-file"],
        Place(path),
        f"can't be read: {error.strerror}",
        "it can't be checked: make it readable, or delete it from the repository",
    )


def _base(path: str, *, folder: bool) -> str:
    """Where the names begin that may mean something: the root of the repository, else not far above what is named."""
    whole = Path(path).absolute()
    for above in (whole, *whole.parents):
        if (above / ".git").exists():
            return str(above)
    here = Path.cwd()
    resolved = Path(os.path.normpath(whole))
    if resolved.is_relative_to(here) and here.parent != here:
        return str(here.parent)
    return str(resolved.parent if folder else resolved.parent.parent)


def _chart_of(path: str) -> str | None:
    """The chart among whose templates a file is."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100
    for above in whole.parents:
        if above.name == "templates" and (above.parent / "Chart.yaml").is_file():
            return os.path.relpath(above.parent)
    return None


def _of_a_chart(path: str, chart: str) -> str:
    path, chart = os.path.normpath(path), os.path.normpath(chart)
    return f"{path}: templates of a chart, not checked; render them: helm template {chart} | chaosctl lint -"


def _inside(path: str, real_top: str) -> bool:
    real = os.path.realpath(path)
    return real == real_top or real.startswith(real_top.rstrip(os.sep) + os.sep)


def _is_new(path: str, seen: set[str] | None) -> bool:
    if seen is None:
        return True
    whole = os.path.abspath(path)  # noqa: PTH100 - a link is looked at under its own name, which may say production
    if whole in seen:
        return False
    seen.add(whole)
    return True
