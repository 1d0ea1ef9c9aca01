"""Which files are experiments. Imports nothing heavy: it is asked about every YAML file that pytest comes across."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".yaml", ".yml")
# One whose name is misspelt must not be left out silently, and no other tool's files have a top-level ``steadyState:``.
_DECLARES: Final = re.compile(r"""^["']?(experiment|steadyState)["']?\s*:""", re.MULTILINE)


def declares_experiment(file: Path) -> bool:
    """Whether a file is YAML that says of itself that it is an experiment, whatever folder it is in."""
    if file.suffix not in SUFFIXES:
        return False
    try:
        return _DECLARES.search(file.read_text(encoding="utf-8-sig")) is not None
    except (OSError, UnicodeDecodeError):
        return False
