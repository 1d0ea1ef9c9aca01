"""The files of the repository, as its own tests read them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked() -> list[Path]:
    """Every file that is tracked or about to be; where there is no git, every file that a release would have."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(file for file in files if file.is_file())


def text_of(file: Path) -> str:
    """The file's text; empty where it is not text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def pages() -> list[Path]:
    """Every Markdown page."""
    return [file for file in tracked() if file.suffix == ".md"]


def relative(file: Path) -> str:
    """The file's path from the root of the repository."""
    return file.relative_to(ROOT).as_posix()
