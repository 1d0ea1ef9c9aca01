"""What holds for all tests of the doctor."""

from __future__ import annotations

import pytest

from chaos.doctor import examined


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look at what may be on its way comes at once."""
    monkeypatch.setattr(examined, "_AGAIN", 0.0)
