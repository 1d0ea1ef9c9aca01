"""Where we are: a mesh with its metrics, and what may be done there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from chaos.engine.planning import dry_run, look, make_plan, reach_of_credentials
from chaos.engine.preflight import checked
from chaos.errors import InputError, MeshError
from chaos.model.experiment import Experiment
from chaos.model.history import Environment
from chaos.model.plan import Plan
from chaos.model.settings import Settings
from chaos.model.situation import Situation
from chaos.ports import Mesh, Metrics
from chaos.safety.retry import Unsettled, settle
from chaos.values.secrets import Address, without_secrets
from chaos.version import __version__

_USUAL: Final = 15.0
"""Seconds between two scrapes of Istio's addon, as long as nothing is known."""
_TRIES: Final = 3
_PAUSE: Final = 0.5
"""Seconds between two tries to read what is live."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A mesh with its metrics, and what may be done there; it lives as long as the connection to it.

    Args:
        mesh: The Kubernetes API.
        metrics: The Prometheus that scrapes the mesh.
        settings: What may be touched.
        environment: What a record says of it.
        entry: Where load is sent to, with the password that it may have.
        writable_outside: Namespaces outside the allowed ones in which the identity in use may write VirtualServices.
    """

    mesh: Mesh
    metrics: Metrics
    settings: Settings
    environment: Environment
    entry: Address
    writable_outside: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        mesh: Mesh,
        metrics: Metrics,
        settings: Settings,
        *,
        entry: Address | str = "",
        prometheus: str = "",
        lab: bool = False,
    ) -> Self:
        """Asks a mesh and its metrics what there is to know of them.

        Args:
            mesh: The Kubernetes API.
            metrics: The Prometheus that scrapes the mesh.
            settings: What may be touched.
            entry: URL that load is sent to.
            prometheus: Prometheus' URL, for the record.
            lab: Whether it is the embedded lab, whose only user may do everything.

        Raises:
            MeshError: the API can't be reached.
            MetricsError: Prometheus can't be reached.
        """
        identity, entry = mesh.identity(), entry if isinstance(entry, Address) else Address(entry)
        metrics.now()
        every = settings.scrape_interval
        environment = Environment(
            context=identity.context,
            cluster=identity.uid,
            server=without_secrets(identity.server),
            kubernetes=identity.kubernetes,
            istio=identity.istio,
            prometheus=without_secrets(prometheus),
            entry=str(entry),
            scrape_interval=every.total_seconds() if every else metrics.scrape_interval() or _USUAL,
            interval_from="settings" if every else "samples",
            harness=__version__,
            lab=lab,
        )
        outside = () if lab else reach_of_credentials(mesh, settings)
        return cls(
            mesh=mesh,
            metrics=metrics,
            settings=settings,
            environment=environment,
            entry=entry,
            writable_outside=outside,
        )

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that may be touched; those that a pattern covers are asked for.

        Raises:
            MeshError: the API can't be read.
        """
        return allowed(self.mesh, self.settings)

    def look(self, experiment: Experiment, *, known: Sequence[Situation] | None = None) -> tuple[Situation, ...]:
        """What matters to each target of an experiment at this moment.

        Args:
            experiment: What is to be planned.
            known: What was found before: who calls is taken from there, and the metrics are not asked.

        Raises:
            MeshError: the API can't be read.
        """
        if known is None:
            return self._look(experiment, self.metrics)
        found = self.around(experiment)
        return tuple(replace(now, calling=before.calling) for now, before in zip(found, known, strict=True))

    def around(self, experiment: Experiment) -> tuple[Situation, ...]:
        """The same from the API alone, without the metrics.

        Raises:
            MeshError: the API can't be read.
        """
        return self._look(experiment, None)

    def _look(self, experiment: Experiment, metrics: Metrics | None) -> tuple[Situation, ...]:
        return look(
            self.mesh,
            metrics,
            experiment,
            cluster=self.environment.cluster,
            root=self.settings.root_namespace,
            writable_outside=self.writable_outside,
        )

    def plan(self, experiment: Experiment, *, run: str, file: str = "", declared: str = "") -> Plan:
        """What a run would write, refused or not; nothing is written.

        Raises:
            MeshError: the API can't be read.
        """
        plan = self.decide(experiment, self.look(experiment), run=run, file=file, declared=declared)
        return dry_run(self.mesh, checked(plan, self.metrics, self.environment))

    def decide(
        self, experiment: Experiment, situations: Sequence[Situation], *, run: str, file: str = "", declared: str = ""
    ) -> Plan:
        """The plan by what was found, without the API server's own opinion of it, and without a look at the metrics.

        Raises:
            MeshError: the API server can't be asked for its time.
        """
        now = self.mesh.server_time()
        return make_plan(experiment, situations, self.settings, run=run, now=now, file=file, declared=declared)

    def plan_again(
        self, plan: Plan, *, known: Sequence[Situation] | None, sleep: Callable[[float], None]
    ) -> tuple[Plan, Sequence[Situation]]:
        """What a plan would say now, while its run is under way, and what that rests on; also if a read fails for once.

        Args:
            plan: The run's.
            known: Situations from which it takes who calls.
            sleep: Waits between two tries.

        Raises:
            Unsettled: the API can't be read.
        """

        def attempt() -> tuple[Plan, Sequence[Situation]]:
            try:
                found = self.look(plan.experiment, known=known)
                fresh = self.decide(plan.experiment, found, run=plan.run, file=plan.file, declared=plan.declared)
            except MeshError as error:
                raise Unsettled(error.message, status=error.status, hint=error.hint) from error
            return fresh, found

        return settle(attempt, tries=_TRIES, pause=_PAUSE, sleep=sleep)


def allowed(mesh: Mesh, settings: Settings) -> tuple[str, ...]:
    """The namespaces that may be touched; those that a pattern covers are asked for.

    Raises:
        MeshError: the API can't be read.
    """
    known = mesh.namespaces() if settings.has_patterns else ()
    return settings.listed(str(one["metadata"]["name"]) for one in known)


def chosen(mesh: Mesh, settings: Settings, named: Sequence[str] | None) -> tuple[str, ...]:
    """The namespaces that are named; where none is, those that may be touched.

    Raises:
        InputError: none is named, and the settings allow none that is there.
        MeshError: the API can't be read.
    """
    if isinstance(named, str):
        raise InputError(f"expected a list of namespaces, got {named!r}")
    if not named and not settings.namespaces:
        raise InputError(
            "no namespace is named, and the settings allow none",
            hint="name one, or list namespaces in [tool.chaos] of pyproject.toml or in chaos.toml",
        )
    found = tuple(named) if named else allowed(mesh, settings)
    if not found:
        raise InputError(
            f"no namespace of this cluster matches {', '.join(settings.namespaces)}, which the settings allow",
            hint="see whether this is the right cluster: kubectl get namespaces",
        )
    return found
