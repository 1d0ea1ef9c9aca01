"""One run from its plan to its end, with the signals that may come meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.beside import POLL, Beside
from chaos.engine.clock import StopRequest
from chaos.engine.place import Place
from chaos.engine.run import Run
from chaos.engine.surroundings import Surroundings, Watch, Watched
from chaos.errors import InputError, MetricsError, Setting, Stopped
from chaos.harness.concluding import conclude, make_folder
from chaos.model.experiment import Experiment
from chaos.model.history import History
from chaos.model.marks import new_run
from chaos.model.plan import Plan
from chaos.ports import Clock, Result
from chaos.reporting.record import LOAD_LOG, run_folder
from chaos.safety.lease import is_held
from chaos.safety.sweep import sweep
from chaos.safety.watchdog import Watchdog


def watchdog_of(place: Place) -> Callable[[Watched, Path], Watch]:
    """How a process is started that cleans up on a cluster when this one is killed.

    Raises:
        InputError: the mesh is none that another process could reach.
    """
    mesh = place.mesh
    if not isinstance(mesh, KubernetesMesh):
        raise InputError(
            f"{type(mesh).__name__} can't be reached from another process, so no watchdog could clean up if this process is killed",
            hint="hand in a watchdog; for a mesh in memory, which dies with the process: "
            "watchdog=lambda plan, folder: NoWatch()",
        )

    def start(watched: Watched, folder: Path) -> Watchdog:
        return Watchdog.start(
            kubeconfig=mesh.kubeconfig,
            context=mesh.context,
            namespaces=watched.namespaces,
            run=watched.run,
            folder=folder,
            cluster=place.environment.cluster,
            hidden=place.settings.prometheus.variables,
        )

    return start


def see_entry(place: Place) -> None:
    """Raises ``InputError`` where the load has no address, or one that no path can come after."""
    if not place.environment.entry:
        raise InputError(
            "no entry is named, so there is no address for the load",
            hint=f"give {Setting.ENTRY}: a URL of the mesh's ingress, or entry in [tool.chaos]",
        )
    url = urlsplit(place.entry.get_secret_value())
    if url.query or url.fragment:
        raise InputError(
            f"the entry {place.environment.entry} has a query or a fragment, so the paths of the load's requests can't be appended to it",
            hint="give it without a query; the path of a request may have one",
        )


def run(
    experiment: Experiment,
    around: Surroundings,
    *,
    report_dir: Path,
    file: Path | None = None,
    declared: str = "",
    run_id: str = "",
) -> Result:
    """Runs one experiment, judges it and leaves its record.

    Raises:
        HarnessError: it could not even be begun; nothing was written.
        KeyboardInterrupt: it was asked to stop by SIGINT, and has cleaned up.
        Stopped: it was asked to stop by SIGTERM or SIGHUP, and has cleaned up.
    """
    place, stop = around.place, around.stop
    see_entry(place)
    with stop.on_signals():
        prepared = Beside(around.clock, lambda: _prepared(experiment, around, report_dir, file, declared, run_id))
        while not prepared.done:
            if stop:  # nothing is written yet, so nothing that hangs is waited for
                raise _ended(stop)
            around.clock.sleep(POLL)
        plan, one = prepared.result()
        if one is not None:
            try:
                history = one.execute()
            except BaseException:  # pytest-timeout's, or an exit from elsewhere: all is restored, and it goes on up
                around.listeners.finish(conclude(one.history(), report_dir=report_dir))
                raise
        else:
            history = _refused(plan, place, around.clock)
        result = conclude(history, report_dir=report_dir)
        _keep_log(around, result)
    around.listeners.finish(result)  # signals act at once again: a report that hangs can be interrupted
    if stop:
        raise _ended(stop)
    return result


def _keep_log(around: Surroundings, result: Result) -> None:
    if result.folder is not None and (text := around.load.log()):
        with suppress(OSError):  # a disk that is full now; the record is written
            (result.folder / LOAD_LOG).write_text(text, encoding="utf-8")


def _ended(stop: StopRequest) -> BaseException:
    """What a signal becomes once all is clean."""
    interrupted = stop.signal is None or stop.signal == signal.SIGINT
    return KeyboardInterrupt(stop.why) if interrupted else Stopped(128 + (stop.signal or 0))


def _prepared(
    experiment: Experiment, around: Surroundings, report_dir: Path, file: Path | None, declared: str, run_id: str
) -> tuple[Plan, Run | None]:
    """The plan, and the run where it is allowed."""
    place = around.place
    if all(place.settings.lists(namespace) for namespace in experiment.namespaces):
        _await_turn(experiment, around)
        sweep(place.mesh, namespaces=experiment.namespaces)  # what a dead run left must not be planned on
    plan = place.plan(experiment, run=run_id or new_run(), file=str(file or ""), declared=declared)
    make_folder(run_folder(report_dir, plan.run))
    return plan, Run(plan, around) if plan.allowed else None


def _await_turn(experiment: Experiment, around: Surroundings) -> None:
    """Waits until no other run holds a target: a plan that is made meanwhile would find its fault."""
    targets, clock = [one.target for one in experiment.each()], around.clock
    until = clock.now() + around.wait
    while clock.now() < until and not around.stop:
        if not any(is_held(around.place.mesh, namespace=one.namespace, service=one.service) for one in targets):
            return
        clock.sleep(1.0)


def _refused(plan: Plan, place: Place, clock: Clock) -> History:
    try:
        offset = place.metrics.now() - clock.now()
    except MetricsError:
        offset = 0.0
    now = clock.now() + offset
    return History(run=plan.run, plan=plan, environment=place.environment, clock_offset=offset, started=now, ended=now)
