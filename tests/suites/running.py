"""The suites in a process of their own, as a team runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.repository import ROOT

SUITES = ROOT / "suites" / "chaos_suites"
Done = subprocess.CompletedProcess[str]


def run(*tests: str, services: Path | None, reports: Path, options: tuple[str, ...] = (), folder: Path = ROOT) -> Done:
    """Tests of the suites with these services, on the lab that the environment leads to.

    Args:
        tests: Files in the folder of the suites, or what is selected in them; all of them without any.
        services: A ``services.toml``; ``None``: no option names one.
        reports: The folder for records.
        options: Further options of pytest.
        folder: Where pytest is started, and where the settings are.
    """
    named = ["--chaos-services", str(services)] if services else []
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--chaos-profile", "quick", *options, *named,
            "--chaos-report-dir", str(reports), *(str(SUITES / one) for one in tests or [""]),
        ],
        cwd=folder, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'suites'}"},
    )  # fmt: skip
