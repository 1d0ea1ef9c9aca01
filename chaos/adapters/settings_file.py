"""Reads the settings from ``chaos.toml`` or ``[tool.chaos]`` in ``pyproject.toml``, and addresses from the environment.

What may be touched is said by the file alone: it is reviewed and versioned, a variable is neither.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from chaos.errors import InputError
from chaos.model.settings import Settings

VARIABLES: Final[Mapping[str, str]] = {"prometheus": "CHAOS_PROMETHEUS", "entry": "CHAOS_ENTRY"}
"""Settings that a variable of the environment goes before."""


@dataclass(frozen=True)
class Sourced:
    """Settings, and where each of them comes from: a file, a variable, or ``default``."""

    settings: Settings
    sources: Mapping[str, str]


def read_settings(start: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings that hold in a folder: of the nearest file at or above it; none there: nothing is allowed.

    Raises:
        InputError: the file can't be read, or has something that is not a setting.
    """
    return read_sourced(start, environment).settings


def read_sourced(start: Path, environment: Mapping[str, str] = os.environ) -> Sourced:
    """The settings that hold in a folder, and where they come from.

    Raises:
        InputError: the file can't be read, or has something that is not a setting.
    """
    settings, file = _of_files(start)
    sources = {name: str(file) if name in settings.model_fields_set else "default" for name in Settings.model_fields}
    given = {name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable)}
    for name, address in given.items():
        if not address.startswith(("http://", "https://")):
            raise InputError(
                f"{VARIABLES[name]}: expected a URL, got {address!r}", hint="for example http://127.0.0.1:9090"
            )
        sources[name] = VARIABLES[name]
    return Sourced(settings.model_copy(update=given), sources)


def _of_files(start: Path) -> tuple[Settings, Path | None]:
    for folder in (start.resolve(), *start.resolve().parents):
        own = folder / "chaos.toml"
        if own.is_file():
            return _settings(_table_of(_load(own), own), own), own
        project = folder / "pyproject.toml"
        if project.is_file():
            table = _load(project).get("tool", {}).get("chaos")
            if table is not None:
                return _settings(table, project), project
    return Settings(), None


def _table_of(document: dict[str, Any], file: Path) -> dict[str, Any]:
    """The settings of a ``chaos.toml``: all of it, or its table ``[tool.chaos]`` as a ``pyproject.toml`` has it."""
    table = document.get("tool", {}).get("chaos") if isinstance(document.get("tool"), dict) else None
    if table is None:
        return document
    if len(document) > 1 or len(document["tool"]) > 1 or not isinstance(table, dict):
        raise InputError(
            f"{file}: expected all settings in the table [tool.chaos], or all of them without it",
            hint="move what stands outside the table into it",
        )
    return table


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: can't be read as TOML: {error}") from error


def _settings(table: dict[str, Any], file: Path) -> Settings:
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        known = ", ".join(Settings.model_fields)
        raise InputError(f"{file}: [tool.chaos] {problems}", hint=f"known settings: {known}") from error
