"""The main job: every experiment on the lab, then the HTML report and where everything is.

Arguments are handed on to pytest. The exit code is pytest's. It runs in this process, so that Ctrl-C and SIGTERM reach
the one that has to clean up, and nothing has to be passed on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REPORTS = Path("reports")
RESULTS = REPORTS / "allure-results"


def main(arguments: list[str]) -> int:
    """Runs the experiments and reports.

    Args:
        arguments: Further arguments for pytest, e.g. ``-k inventory``.

    Returns:
        pytest's exit code: 0 all passed, 1 some did not, 2 interrupted, 3 an error of pytest's own, 4 wrong usage,
        5 nothing found.
    """
    code = int(
        pytest.main(
            ["experiments/", f"--chaos-report-dir={REPORTS}", f"--alluredir={RESULTS}", "--clean-alluredir", *arguments]
        )
    )
    if code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        say_where_everything_is(build_report())
    elif code == pytest.ExitCode.INTERRUPTED:
        sys.stdout.write(
            f"\nInterrupted. What there is so far: {RESULTS}/ and {REPORTS}/runs/ (make report builds the page)\n"
        )
    return code


def build_report() -> str:
    """Builds Allure's page; its path, or nothing where Allure is not there (said on stderr)."""
    sys.stdout.flush()
    built = subprocess.run(["scripts/report", str(RESULTS)], stdout=subprocess.PIPE, text=True, check=False)
    return built.stdout.strip()


def say_where_everything_is(page: str) -> None:
    """Prints the paths of what the run left."""
    rows = [
        ("report", page or f"none (Allure's results are there: {RESULTS}/)"),
        ("records", f"{REPORTS}/runs/<run id>/record.json, each with its pictures (chaosctl judge reads it again)"),
        ("results", f"{RESULTS}/"),
    ]
    sys.stdout.write("\n" + "".join(f"{name:<8} {where}\n" for name, where in rows))


if __name__ == "__main__":
    if Path.cwd() != ROOT:
        sys.exit(f"run it from the checkout: cd {ROOT} && make run")
    sys.exit(main(sys.argv[1:]))
