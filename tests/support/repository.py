"""The files of the repository, as its own tests read them."""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
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


@cache
def prose_of(file: Path) -> str:
    """What people read in a file: all of it, and of Python its strings, docstrings and comments."""
    if file.suffix != ".py":
        return text_of(file)
    source = text_of(file)
    words = [text for _, text in strings_of(ast.parse(source))]
    words += [
        one.string for one in tokenize.generate_tokens(io.StringIO(source).readline) if one.type == tokenize.COMMENT
    ]
    return "\n".join(words)


def strings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string of a module with its line, docstrings too; what an f-string fills in is ``…``."""
    parts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            yield node.lineno, "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value
