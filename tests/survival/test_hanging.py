"""Whatever ends a run ends it while something hangs: proxies, the API server, Prometheus.

What hangs answers only when the test is over, and the run does not give it up meanwhile: if anything waited for it, the run
would not end. The fault is out of the API then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine import proxies
from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.harness.harness import Harness
from chaos.lab.api.resources import PODS
from chaos.model.events import Event, TroubleKind
from chaos.model.history import History, Mark, PhaseName
from chaos.model.marks import FROZEN
from chaos.model.settings import LAB
from chaos.ports import Listener, Object, Result
from chaos.safety.marks import is_ours
from chaos.testing.instruments import ShopProbe
from chaos.values.entry import Contact
from chaos.values.questions import Question
from chaos.values.series import Series
from tests.support.api_server import CONTEXT
from tests.support.waiting import until
from tests.survival.child import EXPERIMENT
from tests.survival.simulated import FastShop
from tests.survival.world import World

FINE = "fine == 1"
GUARDED = EXPERIMENT + f"guardrails: [{{title: on fire, promql: {FINE}}}]\n"
POD = {
    "metadata": {"name": "order-svc", "namespace": "staging"},
    "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "sidecar"]}]},
}


class Hanging(KubernetesMesh):
    """A cluster of which one call hangs; what a test wants to happen meanwhile does once one does."""

    def __init__(self, kubeconfig: str) -> None:
        super().__init__(kubeconfig, CONTEXT)
        self.stuck = "routes_of_proxy"
        """The method that hangs."""
        self.once = False
        """Only its first call hangs."""
        self.from_the_fault = False
        """Only once a fault is in the API."""
        self.acts_first = False
        """It does what it is asked, and only its answer does not come."""
        self.meanwhile: list[Callable[[], object]] = []
        self.over = threading.Event()

    def _hang(self, name: str, act: Callable[[], Any]) -> Any:
        if name != self.stuck or (self.from_the_fault and not any(map(is_ours, self.virtual_services("staging")))):
            return act()
        self.stuck = "" if self.once else name
        found = act() if self.acts_first else None
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.over.wait()
        return found if self.acts_first else act()

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        return self._hang("routes_of_proxy", lambda: None)  # type: ignore[no-any-return]

    def istio_objects(self, kind: str, namespace: str | None = None) -> Sequence[Object]:
        objects = super().istio_objects
        return self._hang(kind, lambda: objects(kind, namespace))  # type: ignore[no-any-return]

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        create = super().create_virtual_service
        name = "dry run" if dry_run else "create_virtual_service"
        return self._hang(name, lambda: create(obj, dry_run=dry_run))  # type: ignore[no-any-return]

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        delete = super().delete_virtual_service
        return self._hang("delete_virtual_service", lambda: delete(namespace, name, uid=uid))  # type: ignore[no-any-return]

    def create_lease(self, obj: Object) -> Object:
        create = super().create_lease
        return self._hang("create_lease", lambda: create(obj))  # type: ignore[no-any-return]

    def record_event(self, involved: Object, *, reason: str, message: str, warning: bool = False) -> None:
        record = super().record_event
        told = partial(record, involved, reason=reason, message=message, warning=warning)
        self._hang("record_event", told)


class End(Listener):
    """A listener that waits for the end of a run, and hears of each attempt to restore that failed."""

    def __init__(self, retried: Callable[[], object] = lambda: None) -> None:
        self.told: Result | None = None
        self._retried = retried

    def event(self, run: str, event: Event) -> None:
        if event.kind == "restore-retried":
            self._retried()

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

    def run(
        self,
        *meanwhile: Callable[[], object],
        text: str = EXPERIMENT,
        retried: Callable[[], object] = lambda: None,
    ) -> History:
        """What happened; the first of ``meanwhile`` is done once the first call hangs, and so on."""
        told = self.begin(*meanwhile, text=text, retried=retried)
        assert self.mesh.meanwhile == []
        until(self.world.is_clean, "clean", within=10)
        assert told is not None
        return told.history

    def begin(
        self, *meanwhile: Callable[[], object], text: str = EXPERIMENT, retried: Callable[[], object] = lambda: None
    ) -> Result | None:
        """The same of a run that may be stopped before it began."""
        self.mesh.meanwhile = list(meanwhile)
        end = End(retried)
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
        return end.told

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
    history = runs.run(lambda: runs.shop.metrics.untrue.add(FINE), text=GUARDED)
    assert any(event.kind == "guardrail" for event in history.events)
    ends_before_the_proof(history)


@pytest.mark.timeout(60)
def test_a_signal_ends_the_waiting_for_the_removal(runs: Runs) -> None:
    """The first exec is that of the proof, the second asks whether the proxies have lost the fault."""
    history = runs.run(lambda: runs.shop.metrics.untrue.add(FINE), interrupted, text=GUARDED)
    assert any(event.kind == "removal-not-awaited" for event in history.events)
    assert PhaseName.RECOVER not in phases(history)
    assert history.residue == ()


@pytest.fixture
def second_look(runs: Runs) -> Runs:
    """The API does not answer when the run looks whether its fault is still allowed."""
    runs.mesh.stuck, runs.mesh.from_the_fault = "Sidecar", True
    return runs


def ends_before_the_proxies_are_asked(history: History) -> None:
    assert PhaseName.PROVE not in phases(history)
    assert Mark.RESTORED in history.marks
    assert history.residue == ()


@pytest.mark.timeout(60)
def test_a_signal_ends_the_run_that_looks_again(second_look: Runs) -> None:
    history = second_look.run(interrupted)
    assert [trouble.kind for trouble in history.troubles] == [TroubleKind.INTERRUPTED]
    ends_before_the_proxies_are_asked(history)


@pytest.mark.timeout(60)
def test_a_freeze_ends_the_run_that_looks_again(second_look: Runs) -> None:
    freeze = partial(second_look.mesh.annotate_namespace, "staging", FROZEN, "release day")
    history = second_look.run(freeze)
    assert [trouble.kind for trouble in history.troubles] == [TroubleKind.FROZEN]
    ends_before_the_proxies_are_asked(history)


@pytest.mark.timeout(60)
def test_a_guardrail_ends_the_run_that_looks_again(second_look: Runs) -> None:
    history = second_look.run(lambda: second_look.shop.metrics.untrue.add(FINE), text=GUARDED)
    assert any(event.kind == "guardrail" for event in history.events)
    ends_before_the_proxies_are_asked(history)


@pytest.mark.timeout(60)
def test_an_event_that_is_not_taken_holds_nobody_up(runs: Runs) -> None:
    runs.mesh.stuck, runs.mesh.once = "record_event", True
    history = runs.run()
    assert PhaseName.RECOVER in phases(history)


@pytest.mark.timeout(60)
def test_a_fault_whose_writing_is_not_answered_is_removed(runs: Runs) -> None:
    runs.mesh.stuck, runs.mesh.acts_first = "create_virtual_service", True
    ends_before_the_proxies_are_asked(runs.run(interrupted))


@pytest.mark.timeout(60)
def test_a_fault_that_appears_after_the_stop_is_removed(runs: Runs) -> None:
    """The API server writes it once the run has said that it waits for that."""
    runs.mesh.stuck = "create_virtual_service"
    history = runs.run(interrupted, retried=runs.mesh.over.set)
    told = [event.sentence for event in history.events if event.kind == "restore-retried"]
    assert "has not answered yet whether it wrote staging/chaos-" in told[0]
    ends_before_the_proxies_are_asked(history)


@pytest.mark.timeout(60)
def test_a_removal_that_hangs_is_told_and_another_one_begins(runs: Runs) -> None:
    runs.mesh.stuck, runs.mesh.once = "delete_virtual_service", True
    history = runs.run()
    told = [event.sentence for event in history.events if event.kind == "restore-retried"]
    assert told == ["the API server has not answered for 1 s"]
    assert Mark.RESTORED in history.marks


@pytest.mark.timeout(60)
def test_a_lease_that_comes_after_the_stop_is_given_back(runs: Runs) -> None:
    runs.mesh.stuck = "create_lease"

    def stop_and_answer_later() -> None:
        interrupted()
        threading.Timer(0.5, runs.mesh.over.set).start()

    history = runs.run(stop_and_answer_later)
    assert phases(history) == [PhaseName.LOCK, PhaseName.RELEASE]


@pytest.mark.timeout(60)
def test_a_plan_is_not_waited_for(runs: Runs) -> None:
    runs.mesh.stuck = "Sidecar"
    assert runs.begin(interrupted) is None
    assert not (runs.folder / "runs").exists()


@pytest.mark.timeout(60)
def test_an_entry_that_hangs_is_not_waited_for(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> Contact:
        interrupted()
        runs.mesh.over.wait()
        return Contact()

    monkeypatch.setattr(ShopProbe, "connect", connect)
    history = runs.run()
    assert phases(history) == [PhaseName.LOCK, PhaseName.RELEASE]
    assert not runs.mesh.over.is_set()


class Unanswered:
    """Metrics that answer nothing from the fault on; what a test wants to happen meanwhile does once they are asked."""

    def __init__(self, runs: Runs, meanwhile: Callable[[], object]) -> None:
        self._runs, self._meanwhile = runs, [meanwhile]
        self._samples = runs.shop.metrics.samples
        runs.mesh.stuck = ""
        runs.shop.metrics.samples = self._hang  # type: ignore[method-assign]

    def _hang(self, question: Question, **options: Any) -> Sequence[Series]:
        if any(map(is_ours, self._runs.mesh.virtual_services("staging"))):
            if self._meanwhile:
                self._meanwhile.pop()()
            self._runs.mesh.over.wait()
        return self._samples(question, **options)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", [TroubleKind.INTERRUPTED, TroubleKind.FROZEN])
def test_a_prometheus_that_hangs_keeps_nobody_from_stopping(runs: Runs, how: TroubleKind) -> None:
    freeze = partial(runs.mesh.annotate_namespace, "staging", FROZEN, "release day")
    Unanswered(runs, interrupted if how is TroubleKind.INTERRUPTED else freeze)
    history = runs.run()
    assert [trouble.kind for trouble in history.troubles] == [how]
    assert Mark.RESTORED in history.marks
    assert not runs.mesh.over.is_set()
