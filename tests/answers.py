"""Recorded answers of Istio's own code, read where they are: beside the checkout, or in the folder that ISTIO_ANSWERS names.

One JSON object a line, packed. Nothing of it is copied into the project; a test that needs it is skipped where it is absent.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

FOLDER: Final = Path(
    os.environ.get("ISTIO_ANSWERS") or Path(__file__).parents[2] / "shared" / "data" / "istio-answers"
)
WHOLE: Final = bool(os.environ.get("ISTIO_ANSWERS_WHOLE"))
"""Whether every record is asked about (``make answers``), and not a sample only."""


def needed(*names: str) -> pytest.MarkDecorator:
    """Skips where one of these files is absent, saying so."""
    absent = [name for name in names if not (FOLDER / name).is_file()]
    return pytest.mark.skipif(bool(absent), reason=f"no recorded answers of Istio: {FOLDER} has no {', '.join(absent)}")


def records(name: str, *, every: int = 1) -> Iterator[dict[str, Any]]:
    """The records of a file; of a sample every so many one, the same on each run."""
    with gzip.open(FOLDER / name, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if WHOLE or number % every == 0:
                yield json.loads(line)
