"""What a suite's ``conftest.py`` or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chaos.harness.harness import Harness


@pytest.hookspec(firstresult=True)
def pytest_chaos_harness(config: pytest.Config) -> Harness | None:
    """A harness of the suite's own for all experiments of this session; ``None``: as the options say.

    Args:
        config: pytest's configuration.
    """
