"""Reads the settings from ``chaos.toml`` or ``[tool.chaos]`` in ``pyproject.toml``, and addresses from the environment.

What may be touched is said by the file alone: it is reviewed and versioned, a variable is neither.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from chaos.errors import InputError
from chaos.model.prometheus import VARIABLE, Prometheus, address
from chaos.model.settings import Settings
from chaos.values.declared import told

VARIABLES: Final[Mapping[str, str]] = {"prometheus": VARIABLE, "entry": "CHAOS_ENTRY"}
"""Settings that a variable of the environment goes before."""
_FILES: Final = ("ca", "certificate", "key")


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
    given = {
        name: address(environment[variable], variable, example="http://127.0.0.1:9090")
        for name, variable in VARIABLES.items()
        if environment.get(variable)
    }
    sources |= {name: VARIABLES[name] for name in given}
    prometheus = settings.prometheus.at(given.get("prometheus"))
    for variable, access in _access(environment):
        prometheus = prometheus.with_access(access, whence=variable)
        known = () if sources["prometheus"] == "default" else (sources["prometheus"],)
        sources["prometheus"] = ", ".join((*known, variable))
    entry = given.get("entry", settings.entry)
    return Sourced(settings.model_copy(update={"prometheus": prometheus, "entry": entry}), sources)


def _access(environment: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """The credentials for Prometheus that variables name, each with its value."""
    for name in Prometheus.model_fields:
        variable = f"{VARIABLES['prometheus']}_{name.upper()}"
        value = environment.get(variable)
        if value and name == "headers":  # as OpenTelemetry's variables have them
            yield variable, [f"headers.{one.strip()}" for one in value.split(",") if one.strip()]
        elif value and name != "url":
            yield variable, [f"{name}={value}"]


def _of_files(start: Path) -> tuple[Settings, Path | None]:
    for folder in (start.resolve(), *start.resolve().parents):
        own = folder / "chaos.toml"
        if own.is_file():
            return _settings(_table_of(_load(own), own), own), own
        project = folder / "pyproject.toml"
        if project.is_file():
            tools = _load(project).get("tool")
            if isinstance(tools, dict) and "chaos" in tools:
                return _settings(tools["chaos"], project), project
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
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: can't be read as TOML: {error}") from error


def _settings(table: Any, file: Path) -> Settings:
    if not isinstance(table, dict):
        raise InputError(f"{file}: expected the settings as the one table [tool.chaos]")
    if isinstance(table.get("prometheus"), dict):
        table = {**table, "prometheus": _placed(table["prometheus"], file.parent)}
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        known = ", ".join(Settings.model_fields)
        raise InputError(f"{file}: [tool.chaos] {'; '.join(told(error))}", hint=f"known settings: {known}") from None


def _placed(value: Any, folder: Path, name: str = "") -> Any:
    """What names files, by paths that begin in the folder of the settings."""
    if isinstance(value, dict):
        return {key: _placed(one, folder, key) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    if value.startswith("file:"):
        return f"file:{folder / Path(value.removeprefix('file:')).expanduser()}"
    return str(folder / Path(value).expanduser()) if name in _FILES else value
