"""The object that a suite holds: it plans, runs, judges and cleans up at one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from copy import copy
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, Unpack

from chaos.adapters.embedded_lab import lab_in_use
from chaos.adapters.http_probe import HttpProbe
from chaos.adapters.istio_manifests import Manifest, wanted_of
from chaos.adapters.locust_load import LocustLoad
from chaos.doctor.finding import Checked
from chaos.engine import changing
from chaos.engine.clock import StopRequest, SystemClock
from chaos.engine.listeners import Listeners
from chaos.engine.place import Place
from chaos.engine.surroundings import Surroundings, Watch, Watched
from chaos.errors import InputError, Setting
from chaos.harness import connecting, running, shifting
from chaos.harness.again import judge_again, judge_shift_again
from chaos.harness.backing_up import BackupFolder
from chaos.harness.concluding import raise_unless_passed
from chaos.harness.connecting import Options
from chaos.harness.means import Means, these, usual
from chaos.injection.weights import Way
from chaos.model.experiment import Experiment, Profile, profile_of
from chaos.model.marks import new_run
from chaos.model.plan import Plan
from chaos.model.settings import Settings
from chaos.model.shift import Shift, ShiftStep
from chaos.model.verdict import Verdict
from chaos.ports import Clock, Listener, Load, Probe, Result
from chaos.reporting.record import run_folder
from chaos.safety.active import ActiveChange, ActiveFault, active, active_changes
from chaos.safety.freeze import Switched, switch
from chaos.safety.lease import LEASE_SECONDS
from chaos.safety.sweep import Swept, sweep
from chaos.values.access import MeshAccess
from chaos.values.quantities import duration_of

_WATCHDOGS: Final = 10.0
"""Seconds within which a watchdog has surely cleaned up."""


class Harness:
    """Plans, runs, judges and cleans up at one place.

        with Harness.on_lab() as harness:
            harness.check(experiment)

    Args:
        place: Where; ``connect`` and ``on_lab`` find it, ``Place.of`` makes one of your own mesh and metrics.
        load: Makes the load generator of a run; by default Locust.
        probe: Makes what looks at the mesh's entry before anything is written; by default by HTTP.
        watchdog: Starts the watchdog for a plan (or a change) and the folder of its record; by default a process.
        clock: The clock that runs use.
        listeners: Reports; by default the harness's own and those of installed packages, under pytest those of the test that runs.
        report_dir: The folder for records.
        wait: How long to wait for a target that another run holds, e.g. ``"10m"``; by default the run is refused at once.
        lease: Seconds without a sign of life after which a run counts as dead.
        profile: How long to observe: ``"quick"`` for trying, ``"nightly"`` for longer; by default as each experiment declares.

    Raises:
        InputError: a value can't be used.
    """

    def __init__(
        self,
        place: Place,
        *,
        load: Callable[[], Load] | None = None,
        probe: Callable[[], Probe] = HttpProbe,
        watchdog: Callable[[Watched, Path], Watch] | None = None,
        clock: Clock | None = None,
        listeners: Sequence[Listener] | None = None,
        report_dir: Path | str = "reports",
        wait: timedelta | str = timedelta(0),
        lease: float = LEASE_SECONDS,
        profile: Profile | None = None,
    ) -> None:
        self.place = place
        self._wait = duration_of(Setting.WAIT, wait).total_seconds()
        self._load = load or self._locust
        self._probe = probe
        self._watchdog = watchdog or running.watchdog_of(place)
        self.clock = clock or SystemClock()
        self._listeners: Callable[[], Listeners] = usual if listeners is None else these(listeners)
        self._report_dir = Path(report_dir)
        self._lease = lease
        self._profile = profile_of(profile)
        self._closing = ExitStack()

    def _locust(self) -> Load:
        return LocustLoad(hidden=self.place.settings.prometheus.variables)

    # --- where -----------------------------------------------------------------------------------------------------

    @classmethod
    def connect(
        cls,
        context: str,
        *,
        prometheus: str | None = None,
        prometheus_access: Sequence[str] = (),
        entry: str | None = None,
        kubeconfig: str | None = None,
        settings: Settings | None = None,
        **means: Unpack[Means],
    ) -> Self:
        """Connects to a cluster.

        Args:
            context: Name of a context of the kubeconfig; the current one is never used.
            prometheus: URL of the Prometheus that scrapes the mesh; by default that of the settings.
            prometheus_access: Credentials for it, e.g. ``["bearer=env:TOKEN"]``, beside what the settings say.
            entry: URL at which the load enters the mesh, e.g. the ingress gateway's; by default that of the settings.
            kubeconfig: Path of a kubeconfig; by default ``KUBECONFIG`` or ``~/.kube/config``.
            settings: What may be touched; by default ``[tool.chaos]`` of the nearest ``pyproject.toml``, or ``chaos.toml``.
            means: As for ``Harness``.

        Raises:
            InputError: an argument is missing or wrong.
            MeshError: the API can't be reached.
            MetricsError: Prometheus can't be reached.
        """
        options = Options(
            context=context,
            kubeconfig=kubeconfig,
            prometheus=prometheus,
            prometheus_access=prometheus_access,
            entry=entry,
        )
        return cls(connecting.cluster(options, settings), **means)

    @classmethod
    def on_lab(cls, **means: Unpack[Means]) -> Self:
        """On the embedded lab: the default lab if it runs, otherwise one that ends with the harness, at the latest with the process.

        Raises:
            LabError: no lab runs, and none can be started.
        """
        with ExitStack() as closing:
            made = cls(connecting.on_lab(closing.enter_context(lab_in_use())), **means)
            made._closing = closing.pop_all()
        return made

    @classmethod
    def at(cls, options: Options, *, lab: Callable[[], MeshAccess] | None = None, **means: Unpack[Means]) -> Self:
        """At the place that the options of a front end name: a cluster, or the lab.

        Args:
            options: As the user gives them.
            lab: Finds or starts the lab, which somebody else ends; by default it is as for ``on_lab``.
            means: As for ``Harness``.

        Raises:
            HarnessError: the place can't be reached, or a value can't be used.
        """
        duration_of(Setting.WAIT, means.get("wait", "0s"))  # told before a lab is started
        if options.context:
            return cls(connecting.cluster(options), **means)
        return cls.on_lab(**means) if lab is None else cls(connecting.on_lab(lab()), **means)

    def heard_by(self, make: Callable[[], Listeners]) -> Self:
        """The same harness with other listeners, which are new for each run. Only the first harness has to be closed."""
        other = copy(self)
        other._listeners, other._closing = make, ExitStack()
        return other

    def close(self) -> None:
        """Ends the lab, if this harness started one."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what ------------------------------------------------------------------------------------------------------

    def plan(self, experiment: Experiment, *, file: Path | None = None, declared: str = "") -> Plan:
        """What a run would write, refused or not; nothing is written.

        Args:
            experiment: What would be run.
            file: Where it was declared.
            declared: Its text.

        Raises:
            MeshError: the API can't be read.
        """
        return self.place.plan(self._profiled(experiment), run=new_run(), file=str(file or ""), declared=declared)

    def run(self, experiment: Experiment, *, file: Path | None = None, declared: str = "", run_id: str = "") -> Result:
        """Runs an experiment, judges it and writes its record, whatever the outcome.

        Args:
            experiment: What to run.
            file: Where it was declared: relative paths in it start there; by default in the working directory.
            declared: Its text.
            run_id: The run's id; by default a new one.

        Raises:
            HarnessError: the run could not begin; nothing was written.
            KeyboardInterrupt: the run received SIGINT, and has cleaned up.
            Stopped: the run received SIGTERM or SIGHUP, and has cleaned up.
        """
        around = self._around(file)
        experiment = self._profiled(experiment)
        return running.run(experiment, around, report_dir=self._report_dir, file=file, declared=declared, run_id=run_id)

    def check(self, experiment: Experiment, *, file: Path | None = None, declared: str = "") -> Result:
        """Runs an experiment as ``run`` does; anything but passed raises.

        Raises:
            ExperimentFailed: the system did not do what was expected.
            ExperimentInconclusive: the run could not answer the question.
            ExperimentRefused: a staging rule refused the plan.
            HarnessError: the run could not begin; nothing was written.
        """
        __tracebackhide__ = True
        result = self.run(experiment, file=file, declared=declared)
        raise_unless_passed(result.verdict)
        return result

    def _profiled(self, experiment: Any) -> Experiment:
        if not isinstance(experiment, Experiment):
            raise InputError(
                f"expected an Experiment, got a {type(experiment).__name__}",
                hint="read_experiment(path) reads one from a file, parse_experiment(text) from its text",
            )
        if self._profile is None:
            return experiment
        try:
            return experiment.in_profile(self._profile)
        except ValueError as error:
            raise InputError(f"{experiment.name}: {error}") from error

    @staticmethod
    def judge(record: Path | str, *, what_if: Mapping[str, object] | None = None) -> Verdict:
        """Judges a recorded run again, offline; ``Verdict.again`` has what is to be said about the record.

        Args:
            record: A ``record.json``, or the folder that holds one.
            what_if: Other values than the declared ones, e.g. ``{"atLeast": "99.5%"}``, which make the verdict hypothetical.

        Raises:
            InputError: it is no record, or can't be judged by such values.
        """
        return judge_again(Path(record), what_if or {})

    @staticmethod
    def judge_shift(record: Path | str, *, what_if: Mapping[str, object] | None = None) -> Shift:
        """Judges a recorded shift again, offline; ``Shift.again`` has what is to be said about the record.

        Args:
            record: A ``shift.json``, or the folder that holds one.
            what_if: As of :meth:`judge`.

        Raises:
            InputError: it is no record of a shift, or can't be judged by such values.
        """
        return judge_shift_again(Path(record), what_if or {})

    def _around(self, file: Path | None) -> Surroundings:
        return Surroundings(
            place=self.place,
            load=self._load(),
            probe=self._probe(),
            clock=self.clock,
            stop=StopRequest(self.clock),
            watch=lambda watched: self._watchdog(watched, run_folder(self._report_dir, watched.run)),
            listeners=self._listeners(),
            wait=self._wait,
            base=file.parent if file else Path.cwd(),
            lease=self._lease,
        )

    # --- changing the mesh for a while --------------------------------------------------------------------------------

    def changed(self, *manifests: Manifest, absent: Sequence[Manifest] = ()) -> AbstractContextManager[None]:
        """Istio's configuration is as these manifests have it as long as a ``with`` block lasts; then all is put back.

            with harness.changed(Path("canary-half.yaml")):
                harness.check(experiment)

        Where there is an object of a manifest's kind, namespace and name, its spec is replaced; else the object is made. What
        others write meanwhile stays theirs. The block begins when the API has stored everything; until proxies obey takes them a moment.

        Args:
            manifests: YAML of one or several objects, a path to such a file, or objects as mappings.
            absent: Objects that are away meanwhile, as ``{"kind": …, "metadata": {"namespace": …, "name": …}}`` or as YAML.

        Raises:
            InputError: it is no manifest of one of Istio's objects, or one that is to be absent is not there.
            Refused: the settings do not allow changes in the namespace, a staging rule forbids this one, or another block changes
                the object now. Nothing was written, or it is put back.
            MeshError: the API failed; or, after the block, the change was not there all the time, or could not be put back.
            MetricsError: nobody can tell who calls an object's hosts. Nothing was written.
        """
        wanted = (*wanted_of(manifests), *wanted_of(absent, absent=True))
        return changing.changed(
            self.place, wanted, run=new_run(), clock=self.clock, lease=self._lease,
            watch=lambda watched: self._watchdog(watched, self._report_dir / "changes" / watched.run),
        )  # fmt: skip

    def shift(
        self,
        experiment: Experiment,
        *,
        virtual_service: str,
        source: str,
        target: str,
        step: float = 10.0,
        every: timedelta | str = "300s",
        file: Path | None = None,
        told: Callable[[ShiftStep], None] = lambda step: None,  # noqa: ARG005 - a default that does nothing
    ) -> Shift:
        """Shifts requests to another version step by step, as long as the experiment's steady state holds at each.

        Args:
            experiment: Its load is sent and its steady state has to hold; its faults are not injected.
            virtual_service: Name of the VirtualService, in the namespace of the experiment's target.
            source: The subset, or host, that has the requests now.
            target: The subset, or host, that shall get the requests.
            step: Percentage points that each step adds.
            every: How long each step lasts; as long again where it can't be decided by then.
            file: Where the experiment was declared.
            told: Told each step as it ends.

        Raises:
            InputError: a value can't be used.
            Refused: a staging rule forbids it; nothing was written.
            MeshError: the API failed, or all could not be put back yet.
        """
        run, every = new_run(), duration_of("every", every)
        folder = self._report_dir / "shifts" / run
        around = self._around(file)
        around.watch = lambda watched: self._watchdog(watched, folder)
        return shifting.shift(
            self._profiled(experiment), around, virtual_service=virtual_service, way=Way(source=source, target=target), step=step,
            every=every, run=run, folder=folder, told=told,
        )  # fmt: skip

    # --- the mesh itself ----------------------------------------------------------------------------------------------

    def doctor(self, namespaces: Sequence[str] | None = None, *, quick: bool = False) -> Sequence[Checked]:
        """What is wrong with the mesh, with its usual cause and a hint; nothing is written.

        Args:
            namespaces: Where to look; by default in those that may be touched.
            quick: Only what is quick enough to be asked before every suite.

        Raises:
            InputError: no namespace is named or allowed.
            MeshError: the API can't be read.
        """
        from chaos.doctor.table import look  # all checks and lint's rules, which no run needs

        return look(self.place, namespaces, quick=quick, sleep=self.clock.sleep)

    def backup(self, folder: Path | str) -> BackupFolder:
        """A folder that keeps Istio's configuration: ``save`` writes it, ``diff`` compares the mesh with it, ``restore`` restores it.

        Args:
            folder: The folder, e.g. one in Git; ``save`` makes it.
        """
        place = self.place
        return BackupFolder(Path(folder), place.mesh, place.settings, sleep=self.clock.sleep)

    # --- cleaning up -----------------------------------------------------------------------------------------------

    def active(self) -> Sequence[ActiveFault]:
        """Every fault of the harness that is active now in a namespace that may be touched; changes have ``active_changes``.

        Raises:
            MeshError: the API can't be read.
        """
        return active(self.place.mesh, self.place.namespaces)

    def active_changes(self) -> Sequence[ActiveChange]:
        """Every change of Istio's configuration that is to be put back, in a namespace that may be touched.

        Raises:
            MeshError: the API can't be read.
        """
        return active_changes(self.place.mesh, self.place.namespaces)

    def sweep(self, *, run: str | None = None, everything: bool = False, dry_run: bool = False) -> Sequence[Swept]:
        """Removes what dead runs left in any namespace that may be touched; what became of each object.

        Args:
            run: Only what this run left, even if it is live.
            everything: All of the harness's, live runs included.
            dry_run: Only says what would be done.

        Raises:
            MeshError: the API can't be read.
        """
        names = self.place.namespaces
        return (
            sweep(self.place.mesh, namespaces=names, run=run, everything=everything, dry_run=dry_run) if names else ()
        )

    def freeze(self, reason: str) -> Sequence[Switched]:
        """Forbids new injections in all namespaces that may be touched; every live run there restores within seconds.

        Args:
            reason: Why; refusals show it.

        Raises:
            MeshError: the API failed.
        """
        return list(switch(self.place.mesh, self.place.namespaces, reason))

    def thaw(self) -> Sequence[Switched]:
        """Allows injections again after a freeze.

        Raises:
            MeshError: the API failed.
        """
        return list(switch(self.place.mesh, self.place.namespaces, None))

    def await_watchdogs(self) -> None:
        """Waits until no fault and no change is active, as long as a watchdog may take that was called upon just now.

        Raises:
            MeshError: the API can't be read.
        """
        clock = self.clock
        until = clock.now() + _WATCHDOGS
        while (self.active() or self.active_changes()) and clock.now() < until:
            clock.sleep(0.2)
