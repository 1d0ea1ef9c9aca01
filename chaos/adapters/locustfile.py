"""Where a locustfile is expected; whoever reads an experiment file asks this without importing Locust."""

from __future__ import annotations

from pathlib import Path


def wrong_path(file: Path) -> str | None:
    """Why a path is not that of one locustfile; ``None`` where it is."""
    if file.is_dir():
        return "expected one file, got a folder: import the users of its files in one of them"
    if file.exists():
        return None
    if "," in file.name:
        return "expected one file, got several: import their users in one of them"
    return "there is no such file"
