"""The suites in a process of their own, as a team runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.repository import ROOT

SUITES = ROOT / "suites" / "chaos_suites"
Done = subprocess.CompletedProcess[str]


def run(*tests: str, services: Path, reports: Path, options: tuple[str, ...] = ()) -> Done:
    """Tests of the suites with these services, on the lab that the environment leads to.

    Args:
        tests: Files in the folder of the suites, or what is selected in them; all of them without any.
        services: A ``services.toml``.
        reports: The folder for records.
        options: Further options of pytest.
    """
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--chaos-profile", "quick", *options,
            "--chaos-services", str(services), "--chaos-report-dir", str(reports), *(str(SUITES / one) for one in tests or [""]),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
