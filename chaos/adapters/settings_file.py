"""Reads the staging rules' values from ``chaos.toml`` or ``[tool.chaos]`` in ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaos.errors import InputError
from chaos.model.settings import Settings


def read_settings(start: Path) -> Settings:
    """The settings that hold in a folder: of the nearest file at or above it; none there: nothing is allowed.

    Raises:
        InputError: the file can't be read, or has something that is not a setting.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        own = folder / "chaos.toml"
        if own.is_file():
            return _settings(_load(own), own)
        project = folder / "pyproject.toml"
        if project.is_file():
            table = _load(project).get("tool", {}).get("chaos")
            if table is not None:
                return _settings(table, project)
    return Settings()


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
