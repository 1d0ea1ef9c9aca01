"""How much is run: a share with ``make test``, all with ``make survive``."""

from __future__ import annotations

import os
from typing import Final

import pytest

EVERY: Final = os.environ.get("CHAOS_EVERY") == "1"
survive_only: Final = pytest.mark.skipif(not EVERY, reason="takes long: make survive")
