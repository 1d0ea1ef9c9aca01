"""Fixtures of the load generator's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.adapters.locust_load import LocustLoad
from tests.contract.load_server import Server


@pytest.fixture
def site() -> Iterator[Server]:
    with Server() as site:
        yield site


@pytest.fixture
def load() -> Iterator[LocustLoad]:
    load = LocustLoad()
    yield load
    load.stop()
