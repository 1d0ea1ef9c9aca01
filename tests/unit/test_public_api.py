from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import chaos


def test_every_public_name_is_there_and_no_other_is_promised() -> None:
    assert set(chaos.__all__) == set(chaos._HOMES)
    for name in chaos.__all__:
        assert getattr(chaos, name) is not None


def test_every_public_name_is_on_a_page_and_completed_by_a_prompt() -> None:
    pages = Path(__file__).parents[2].glob("docs/reference/python/*.md")
    named = set(re.findall(r"\w+", " ".join(page.read_text(encoding="utf-8") for page in pages)))
    assert set(chaos.__all__) - named == {"__version__"}
    assert dir(chaos) == sorted(chaos.__all__)


def test_importing_the_package_loads_nothing() -> None:
    code = "import chaos, sys; print(sorted(m for m in sys.modules if m.startswith('chaos') or m == 'pydantic'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['chaos']\n"
