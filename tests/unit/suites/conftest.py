"""The marker that the suites' modules use, for tests that import them."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "guide(*rows): topics that a test is about")
