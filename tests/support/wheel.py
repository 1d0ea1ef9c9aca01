"""The wheel, built from what is tracked, with the sources out of the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.repository import relative, tracked


def build_wheel(home: Path) -> Path:
    """Builds it in a folder, without a network."""
    for file in tracked():
        copy = home / "sources" / relative(file)
        if relative(file).startswith(("chaos/", "docs/", "suites/chaos_suites/")) or copy.parent == home / "sources":
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    building = [
        "wheel",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--wheel-dir",
        str(home),
        str(home / "sources"),
    ]
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *building], check=True, timeout=120)
    (wheel,) = home.glob("*.whl")
    return wheel
