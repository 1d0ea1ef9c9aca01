"""Puts the parts together: a cluster or the lab, Prometheus, load, one run, its record."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos import judge
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.adapters.locust_load import LocustLoad
from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.adapters.settings_file import read_settings
from chaos.engine.clock import StopRequest, SystemClock
from chaos.engine.listeners import Listeners
from chaos.engine.planning import dry_run, look, make_plan, reach_of_credentials
from chaos.engine.run import Run
from chaos.engine.surroundings import Surroundings
from chaos.errors import InputError, MetricsError
from chaos.model.events import Trouble, TroubleKind
from chaos.model.experiment import Experiment
from chaos.model.history import Environment, History
from chaos.model.marks import new_run
from chaos.model.plan import Plan
from chaos.model.settings import LAB, Settings
from chaos.ports import Finished, Mesh, Metrics
from chaos.reporting.record import run_folder, write_record
from chaos.safety.active import active
from chaos.safety.lease import is_held
from chaos.safety.sweep import Swept, sweep
from chaos.safety.watchdog import Watchdog
from chaos.version import __version__

_WATCHDOGS = 10.0
"""Seconds within which a watchdog surely has cleaned up."""


@dataclass(frozen=True)
class Place:
    """A mesh to run on: its API, its metrics, its entry, and what the rules allow there."""

    mesh: Mesh
    metrics: Metrics
    settings: Settings
    environment: Environment
    context: str
    kubeconfig: str | None
    writable_outside: tuple[str, ...] = ()


def connect(
    *,
    context: str | None,
    prometheus: str | None,
    entry: str | None = None,
    kubeconfig: str | None = None,
    lab: Sequence[str] | None = None,
    folder: Path | None = None,
) -> Place:
    """Connects to a cluster that is named, or to a running lab.

    Args:
        context: Name of a context of the kubeconfig; the current one is never used.
        prometheus: Address of the Prometheus that scrapes the mesh.
        entry: Where the load is sent to, e.g. the ingress gateway's address.
        kubeconfig: Path of a kubeconfig; the usual places where absent.
        lab: The namespaces of the embedded lab, if this is one, that may be touched; no configured rules hold there.
        folder: Where the search for settings starts; here where absent.

    Raises:
        InputError: something is missing or not of the right form.
        MeshError: the API can't be reached.
        MetricsError: Prometheus can't be reached.
    """
    if lab is not None:
        settings = LAB.model_copy(update={"namespaces": tuple(lab)})
    else:
        settings = read_settings(folder or Path.cwd())
    prometheus = prometheus or settings.prometheus
    entry = entry or settings.entry
    if not context:
        raise InputError(
            "no context is named, so no cluster is touched",
            hint="name one with --chaos-context, or leave it out together with all others to use the lab",
        )
    if not prometheus:
        raise InputError(
            f"no Prometheus is named for the context {context!r}",
            hint="--chaos-prometheus http://…, or prometheus in [tool.chaos] "
            "(kubectl -n istio-system port-forward svc/prometheus 9090)",
        )
    if entry is not None and not entry.startswith(("http://", "https://")):
        raise InputError(
            f"expected the entry as a URL, got {entry!r}", hint="for example --chaos-entry https://shop.staging.example"
        )
    mesh = KubernetesMesh(kubeconfig, context)
    metrics = PrometheusMetrics(prometheus)
    identity = mesh.identity()
    metrics.now()
    environment = Environment(
        context=context,
        cluster=identity.uid,
        server=identity.server,
        kubernetes=identity.kubernetes,
        istio=identity.istio,
        prometheus=prometheus,
        entry=entry or "",
        scrape_interval=metrics.scrape_interval(),
        harness=__version__,
        lab=lab is not None,
    )
    outside = reach_of_credentials(mesh, settings) if lab is None else ()  # the lab's only user may do everything
    return Place(mesh, metrics, settings, environment, context, kubeconfig, outside)


def plan_experiment(
    experiment: Experiment, *, place: Place, file: Path | None = None, declared: str = "", run: str | None = None
) -> Plan:
    """What a run would write, refused or not; nothing is written.

    Raises:
        MeshError: the API can't be read.
    """
    situation = look(
        place.mesh,
        place.metrics,
        experiment,
        cluster=place.environment.cluster,
        root=place.settings.root_namespace,
        writable_outside=place.writable_outside,
    )
    plan = make_plan(
        experiment,
        situation,
        place.settings,
        run=run or new_run(),
        now=place.mesh.server_time(),
        file=str(file or ""),
        declared=declared,
    )
    return dry_run(place.mesh, plan)


def sweep_dead(place: Place) -> list[Swept]:
    """Removes what dead runs left in any allowed namespace; what became of each object.

    Raises:
        MeshError: the API can't be read.
    """
    namespaces = allowed_namespaces(place)
    return sweep(place.mesh, namespaces=namespaces) if namespaces else []


def allowed_namespaces(place: Place) -> tuple[str, ...]:
    """The namespaces of the settings' list; those that a pattern covers are asked for.

    Raises:
        MeshError: the API can't be read.
    """
    known = place.mesh.namespaces() if place.settings.has_patterns else ()
    return place.settings.listed(str(one["metadata"]["name"]) for one in known)


def await_watchdogs(place: Place) -> None:
    """Waits until no fault is active, as long as a watchdog may take that was called upon just now.

    Raises:
        MeshError: the API can't be read.
    """
    clock = SystemClock()
    until = clock.now() + _WATCHDOGS
    while active(place.mesh, allowed_namespaces(place)) and clock.now() < until:
        clock.sleep(0.2)


def run_experiment(
    experiment: Experiment,
    *,
    place: Place,
    listeners: Listeners | None = None,
    report_dir: Path,
    file: Path | None = None,
    declared: str = "",
    patience: float = 0.0,
) -> Finished:
    """Runs one experiment, judges it and leaves its record.

    Args:
        experiment: What to run.
        place: Where.
        listeners: Who hears of it.
        report_dir: Where the record goes.
        file: Where it was declared; relative paths in it start there.
        declared: Its text.
        patience: Seconds for which a target that another run holds is waited for; 0: refused at once.

    Raises:
        HarnessError: it could not even be begun; nothing was written.
        KeyboardInterrupt: it was asked to stop by SIGINT, and has cleaned up.
        SystemExit: it was asked to stop by SIGTERM or SIGHUP, and has cleaned up.
    """
    if not place.environment.entry:
        raise InputError(
            "no entry is named, so there is nowhere to send load to",
            hint="--chaos-entry http://… (the ingress gateway)",
        )
    listeners = listeners or Listeners()
    clock = SystemClock()
    stop = StopRequest(clock)
    with stop.on_signals():
        if place.settings.lists(experiment.target.namespace):
            _await_turn(experiment, place, patience=patience, clock=clock, stop=stop)
            sweep(place.mesh, namespaces=(experiment.target.namespace,))  # what a dead run left must not be planned on
        plan = plan_experiment(experiment, place=place, file=file, declared=declared)
        folder = _make(run_folder(report_dir, plan.run))
        if plan.allowed:
            around = Surroundings(
                mesh=place.mesh,
                metrics=place.metrics,
                load=LocustLoad(),
                clock=clock,
                settings=place.settings,
                environment=place.environment,
                stop=stop,
                watch=lambda plan: Watchdog.start(
                    kubeconfig=place.kubeconfig,
                    context=place.context,
                    namespaces=(plan.experiment.target.namespace,),
                    run=plan.run,
                    folder=folder,
                    cluster=place.environment.cluster,
                ),
                listeners=listeners,
                patience=patience,
                writable_outside=place.writable_outside,
                base=file.parent if file else Path.cwd(),
            )
            run = Run(plan, around)
            try:
                history = run.execute()
            except BaseException:  # pytest-timeout's, or an exit from elsewhere: all is restored, and it goes on up
                conclude(run.recorder.history(), listeners=listeners, report_dir=report_dir)
                raise
        else:
            history = _refused(plan, place, clock)
        finished = conclude(history, listeners=listeners, report_dir=report_dir)
    if stop.signal == signal.SIGINT:
        raise KeyboardInterrupt(stop.why)
    if stop.signal is not None:
        raise SystemExit(128 + stop.signal)
    return finished


def conclude(history: History, *, listeners: Listeners, report_dir: Path) -> Finished:
    """Judges, records and tells. A verdict whose record can't be written is never green: nobody could check it."""
    verdict = judge.judge(history)
    folder: Path | None = run_folder(report_dir, history.run)
    try:
        write_record(history, verdict, report_dir)
    except OSError as error:
        lost = Trouble(
            at=history.ended or history.started,
            kind=TroubleKind.RECORD_LOST,
            message=f"the record can't be written to {folder}: {error.strerror or error}",
            hint="is the disk full? choose another folder with --report-dir, or --chaos-report-dir under pytest",
        )
        history = history.model_copy(update={"troubles": (*history.troubles, lost)})
        verdict, folder = judge.judge(history), None
    finished = Finished(history=history, verdict=verdict, folder=folder)
    listeners.finish(finished)
    return finished


def _make(folder: Path) -> Path:
    """The run's folder, made before anything is written to the mesh."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder that records can be written to: {error.strerror}",
            hint="choose another with --report-dir, or --chaos-report-dir under pytest",
        ) from error
    return folder


def _await_turn(
    experiment: Experiment, place: Place, *, patience: float, clock: SystemClock, stop: StopRequest
) -> None:
    """Waits until no other run holds the target: a plan that is made meanwhile would find its fault."""
    target = experiment.target
    until = clock.now() + patience
    while clock.now() < until and not stop:
        if not is_held(place.mesh, namespace=target.namespace, service=target.service):
            return
        clock.sleep(1.0)


def _refused(plan: Plan, place: Place, clock: SystemClock) -> History:
    try:
        offset = place.metrics.now() - clock.now()
    except MetricsError:
        offset = 0.0
    now = clock.now() + offset
    return History(run=plan.run, plan=plan, environment=place.environment, clock_offset=offset, started=now, ended=now)
