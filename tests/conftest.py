"""Figures that tests measured on their way, shown at the end whatever the number of workers."""

from __future__ import annotations

import os

import pytest

# Read by gRPC when it is imported. Its handlers start threads of its own in a child between fork and exec, where they find
# their files closed and abort it: a lab's process then ended before it began, once in some hundred starts.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

FIGURE = "figure"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport)]
    figures = sorted(
        {
            str(value)
            for report in reports
            if report.when == "call"
            for key, value in report.user_properties
            if key == FIGURE
        }
    )
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)
