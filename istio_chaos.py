"""The doors of the installed package: what its entry points name, since no other package has this name.

A package ``chaos`` of the user's own, first on Python's path, would be imported in place of the harness. That is told here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

PACKAGE: Final = "chaos"
_OURS: Final = Path(__file__).resolve().parent / PACKAGE / "__init__.py"


def another_in(folder: Path) -> Path | None:
    """A package or module of somebody else's in a folder that has the name of the harness's package."""
    for file in (folder / PACKAGE / "__init__.py", folder / f"{PACKAGE}.py"):
        if file.is_file() and file.resolve() != _OURS:
            return file
    return None


def told_apart(another: Path) -> str:
    """What is said of it."""
    return (
        f"{another} has the name of the harness's own package, `{PACKAGE}`, and Python can import only one of them\n\n"
        "hint: rename yours, or install the harness into another environment; `pytest -p no:chaos` runs without it"
    )


def chaosctl() -> None:
    """The command line."""
    try:
        cli = _ours("cli")
    except ImportError as error:
        sys.exit(f"error: {error}")
    cli.main()


def __getattr__(name: str) -> ModuleType:
    """``pytest_plugin``, imported when pytest loads the entry point."""
    if name != "pytest_plugin":
        raise AttributeError(name)
    try:
        return _ours(name)
    except ImportError as error:
        import pytest

        raise pytest.UsageError(str(error)) from error


def _ours(module: str) -> ModuleType:
    found = import_module(PACKAGE).__file__
    if found is not None and Path(found).resolve() != _OURS:
        raise ImportError(told_apart(Path(found)))
    return import_module(f"{PACKAGE}.{module}")
