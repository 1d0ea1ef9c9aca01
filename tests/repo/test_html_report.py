"""The page of a run's report tells nobody that it was opened."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLURE = ROOT / "reports/allure/node_modules/.bin/allure"
FETCHES = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//[^>]*>""")


@pytest.mark.skipif(not ALLURE.exists(), reason="Allure is not installed here: make setup")
def test_the_page_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    results, report = tmp_path / "results", tmp_path / "report"
    results.mkdir()
    result = {"uuid": "a", "name": "an experiment", "status": "passed", "start": 1, "stop": 2}
    (results / "a-result.json").write_text(json.dumps(result))
    subprocess.run([ROOT / "scripts/report", results, report], check=True, capture_output=True, timeout=120)
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "<script" in page
    assert FETCHES.findall(page) == []
    assert "googletagmanager" not in page
