"""Whatever ends a run ends it while the callers' proxies hang: the asking is beside the thread that decides.

The proxies answer only when the test is over, and the run does not give them up meanwhile: if anything waited for them, the
run would not end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine import proxies
from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.harness.harness import Harness
from chaos.lab.api.resources import PODS
from chaos.model.events import TroubleKind
from chaos.model.history import History, Mark, PhaseName
from chaos.model.marks import FROZEN
from chaos.model.settings import LAB
from chaos.ports import Listener, Result
from chaos.testing.instruments import ShopProbe
from tests.support.api_server import CONTEXT
from tests.survival.child import EXPERIMENT
from tests.survival.simulated import FastShop
from tests.survival.world import World

GUARDED = EXPERIMENT + 'guardrails: [{title: on fire, service: inventory-svc, good: {status: "<500"}, atLeast: 90%}]\n'
POD = {
    "metadata": {"name": "order-svc", "namespace": "staging"},
    "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "sidecar"]}]},
}


class Hanging(KubernetesMesh):
    """A cluster in which an exec does not end; what a test wants to happen meanwhile does once one has begun."""

    def __init__(self, kubeconfig: str) -> None:
        super().__init__(kubeconfig, CONTEXT)
        self.meanwhile: list[Callable[[], object]] = []
        self.over = threading.Event()

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.over.wait()
        return None


class End(Listener):
    """A listener that waits for the end of a run."""

    def __init__(self) -> None:
        self.told: Result | None = None

    def finished(self, result: Result) -> None:
        self.told = result


class Runs:
    """Runs in this process, on a real API server whose proxies hang."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder, "create")
        self.world.api.store.create(PODS, POD)
        self.mesh = Hanging(str(self.world.api.kubeconfig))
        self.shop = FastShop(self.world.api.address)

    def run(self, *meanwhile: Callable[[], object], text: str = EXPERIMENT) -> History:
        """What happened; the first of ``meanwhile`` is done once the first exec hangs, and so on."""
        self.mesh.meanwhile = list(meanwhile)
        end = End()
        harness = Harness(
            Place.of(self.mesh, self.shop.metrics, LAB, entry="http://127.0.0.1:1", lab=True),
            load=lambda: self.shop.load,
            probe=ShopProbe,
            watchdog=lambda plan, folder: NoWatch(),
            clock=self.shop.clock,
            listeners=[end],
            report_dir=self.folder,
        )
        with contextlib.suppress(KeyboardInterrupt):  # what a signal becomes once all is clean
            harness.run(parse_experiment(text))
        assert self.mesh.meanwhile == []
        assert not self.mesh.over.is_set()
        assert self.world.is_clean()
        assert end.told is not None
        return end.told.history

    def close(self) -> None:
        self.mesh.over.set()
        self.shop.close()
        self.world.close()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    for name in ("PATIENCE", "LONGEST"):
        monkeypatch.setattr(proxies, name, 1e9)
    made = Runs(tmp_path)
    yield made
    made.close()


def phases(history: History) -> list[PhaseName]:
    return [span.phase for span in history.spans]


def ends_before_the_proof(history: History) -> None:
    assert PhaseName.PROVE in phases(history)
    assert PhaseName.OBSERVE not in phases(history)
    assert Mark.RESTORED in history.marks
    assert history.residue == ()


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.timeout(60)
def test_a_freeze_ends_the_run(runs: Runs) -> None:
    history = runs.run(lambda: runs.mesh.annotate_namespace("staging", FROZEN, "release day"))
    assert [trouble.kind for trouble in history.troubles] == [TroubleKind.FROZEN]
    ends_before_the_proof(history)


@pytest.mark.timeout(60)
def test_a_signal_ends_the_run(runs: Runs) -> None:
    history = runs.run(interrupted)
    assert [trouble.kind for trouble in history.troubles] == [TroubleKind.INTERRUPTED]
    ends_before_the_proof(history)


@pytest.mark.timeout(60)
def test_a_guardrail_ends_the_run(runs: Runs) -> None:
    history = runs.run(lambda: None, text=GUARDED)
    assert any(event.kind == "guardrail" for event in history.events)
    ends_before_the_proof(history)


@pytest.mark.timeout(60)
def test_a_signal_ends_the_waiting_for_the_removal(runs: Runs) -> None:
    """The first exec is that of the proof, the second asks whether the proxies have lost the fault."""
    history = runs.run(lambda: None, interrupted, text=GUARDED)
    assert any(event.kind == "removal-not-awaited" for event in history.events)
    assert PhaseName.RECOVER not in phases(history)
    assert history.residue == ()
