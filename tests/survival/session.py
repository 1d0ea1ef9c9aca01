"""Lets a real pytest session run its experiments against a ``World``: real API, real plugin, real watchdog, fast time."""

from __future__ import annotations

import os
from pathlib import Path

import chaos.wiring
from chaos.adapters import kubernetes_api
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.model.history import Environment
from chaos.model.settings import LAB
from tests.survival.simulated import FastClock, ShopMetrics, SteadyLoad
from tests.unit.safety.api_server import CONTEXT

CONFTEST = """\
import sys
sys.path.insert(0, {root!r})
from tests.survival import session
session.install({address!r})
"""
OPTIONS = (
    "--chaos-context", CONTEXT, "--chaos-prometheus", "http://127.0.0.1:1", "--chaos-entry", "http://127.0.0.1:1",
)  # fmt: skip
ROOT = Path(__file__).parents[2]


def install(address: tuple[str, int]) -> None:
    """Replaces what is not here: metrics, load and the pace of time."""
    clock = FastClock()

    def connect(*, context: str, kubeconfig: str, **others: object) -> chaos.wiring.Place:
        mesh = KubernetesMesh(kubeconfig, context)
        environment = Environment(
            context=context, cluster=mesh.identity().uid, entry="http://127.0.0.1:1", scrape_interval=1.0
        )
        return chaos.wiring.Place(mesh, ShopMetrics(clock, address), LAB, environment, context, kubeconfig)

    kubernetes_api.TIMEOUTS = (0.5, 0.5)  # type: ignore[misc]
    chaos.wiring.connect = connect  # type: ignore[assignment]
    chaos.wiring.SystemClock = lambda: clock  # type: ignore[assignment,attr-defined]
    chaos.wiring.LocustLoad = lambda: SteadyLoad(clock)  # type: ignore[assignment,attr-defined,return-value]
    assert os.environ.get("CHAOS_TEST_SESSION") == "1", "only in a session that a test has started"
