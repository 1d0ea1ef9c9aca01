"""Lets a real pytest session run its experiments against a ``World``: real API, real plugin, real watchdog, fast time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.place import Place
from chaos.harness.harness import Harness
from chaos.model.settings import LAB
from chaos.testing.instruments import ShopProbe
from tests.support.api_server import CONTEXT
from tests.survival.simulated import FastShop

CONFTEST = """\
import sys
sys.path.insert(0, {root!r})
from tests.survival import session

def pytest_chaos_harness(config):
    return session.harness(config, {address!r})
"""
OPTIONS = (
    "--chaos-context", CONTEXT, "--chaos-prometheus", "http://127.0.0.1:1", "--chaos-entry", "http://127.0.0.1:1",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def harness(config: pytest.Config, address: tuple[str, int]) -> Harness:
    """One whose metrics, load and pace of time are made; all else is as the options say."""
    assert os.environ.get("CHAOS_TEST_SESSION") == "1", "only in a session that a test has started"
    shop = FastShop(address)
    where = config.getoption("chaos_kubeconfig"), config.getoption("chaos_context")
    mesh = KubernetesMesh(*where, timeouts=(0.5, 0.5))
    place = Place.of(mesh, shop.metrics, LAB, entry="http://127.0.0.1:1", lab=True)
    return Harness(
        place,
        load=lambda: shop.load,
        probe=ShopProbe,
        clock=shop.clock,
        report_dir=config.getoption("chaos_report_dir"),
        wait=config.getoption("chaos_wait"),
    )
