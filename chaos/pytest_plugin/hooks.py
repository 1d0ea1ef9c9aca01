"""What a suite's ``conftest.py`` or another plugin may implement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chaos.harness.harness import Harness
    from chaos.ports import Listener


@pytest.hookspec(firstresult=True)
def pytest_chaos_harness(config: pytest.Config) -> Harness | None:
    """The suite's own harness, for all experiments of this session; ``None``: by the options."""


@pytest.hookspec
def pytest_chaos_listeners(item: pytest.Item) -> Sequence[Listener] | None:
    """Listeners for the run of one experiment, new for each run. Hook wrappers are ignored.

    Called where the experiment runs: with pytest-xdist that is a worker, which has no terminal.
    """
