"""Fixtures of the load generator's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.adapters.locust_load import LocustLoad
from tests.contract.load_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def load() -> Iterator[LocustLoad]:
    load = LocustLoad()
    yield load
    load.stop()
