"""What the engine needs from the outside, as protocols; adapters and tests implement them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chaos.model.events import Event
from chaos.model.experiment import Load as LoadSpec
from chaos.model.history import History, PhaseName
from chaos.model.plan import Plan
from chaos.model.verdict import Proof, Verdict
from chaos.values.answers import ExpectationResult
from chaos.values.load import LoadSecond
from chaos.values.questions import Question
from chaos.values.series import Series

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """Which cluster this is: the context as named, the API server's address, kube-system's UID, the versions."""

    context: str
    server: str
    uid: str
    kubernetes: str
    istio: str = ""


class Informer(Protocol):
    """A collection of the cluster, kept up to date while it changes."""

    @property
    def changes(self) -> int:
        """A number that grows whenever something changed."""

    def objects(self) -> Sequence[Object]:
        """All objects, as last heard; what is written now may be heard a moment later. May wait for the first answer."""

    def stop(self) -> None:
        """Follows it no longer; never waits, safe to call twice."""


class Mesh(Protocol):
    """The Kubernetes API, as far as the harness uses it. Every call raises ``MeshError`` when it fails."""

    def identity(self) -> Identity:
        """Which cluster this is."""

    def namespace(self, name: str) -> Object | None:
        """A namespace, or ``None`` where there is none of this name."""

    def namespaces(self) -> Sequence[Object]:
        """All namespaces; those that may be read where not all may."""

    def services(self, namespace: str) -> Sequence[Object]:
        """The Services of a namespace."""

    def pods(self, namespace: str) -> Sequence[Object]:
        """The Pods of a namespace."""

    def server_time(self) -> float:
        """The API server's clock, Unix seconds."""

    def virtual_service(self, namespace: str, name: str) -> Object | None:
        """One VirtualService, or ``None``."""

    def virtual_services(self, namespace: str | None = None) -> Sequence[Object]:
        """The VirtualServices of one namespace, or of all."""

    def follow_virtual_services(self) -> Informer:
        """The VirtualServices of all namespaces, kept up to date until it is stopped."""

    def destination_rules(self, namespace: str | None = None) -> Sequence[Object]:
        """The DestinationRules of one namespace, or of all."""

    def sidecars(self) -> Sequence[Object]:
        """The Sidecars of all namespaces."""

    def service_entries(self) -> Sequence[Object]:
        """The ServiceEntries of all namespaces."""

    def http_routes(self) -> Sequence[Object]:
        """The Gateway API's HTTPRoutes of all namespaces; none where these are not served."""

    def grpc_routes(self) -> Sequence[Object]:
        """The Gateway API's GRPCRoutes of all namespaces; none where these are not served."""

    def mesh_config(self, root: str, revision: str) -> Object | None:
        """The configuration of a revision's control plane; ``None`` where there is none, so that all is by default."""

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Creates it; the object as stored and the server's warnings."""

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Replaces it by its resourceVersion; ``MeshError`` of status 409 where somebody was faster."""

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        """Deletes it, only that of ``uid`` where given; whether there was one."""

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> Sequence[Object]:
        """Every VirtualService and Lease that the harness wrote, or wrote into; of one run where named."""

    def lease(self, namespace: str, name: str) -> Object | None:
        """A Lease, or ``None``."""

    def create_lease(self, obj: Object) -> Object:
        """Creates a Lease; ``MeshError`` of status 409 where there is one."""

    def replace_lease(self, obj: Object) -> Object:
        """Replaces a Lease by its resourceVersion; ``MeshError`` of status 409 where somebody was faster."""

    def delete_lease(self, namespace: str, name: str, *, uid: str | None = None, version: str | None = None) -> bool:
        """Deletes a Lease, only that of ``uid`` where given; whether there was one.

        With ``version`` only as it was then: ``MeshError`` of status 409 where somebody wrote it meanwhile.
        """

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str | None = None) -> bool:
        """Whether the identity in use may do something, in a namespace or in all (SelfSubjectAccessReview)."""

    def annotate_namespace(self, name: str, key: str, value: str | None) -> None:
        """Sets an annotation of a namespace, or removes it."""

    def record_event(self, involved: Object, *, reason: str, message: str, warning: bool = False) -> None:
        """Writes a Kubernetes Event on an object."""

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        """The routes that a pod's proxy runs now, as its admin prints them; ``None`` where exec is denied."""


class Metrics(Protocol):
    """Whatever keeps the mesh's metrics, such as Prometheus. Every call raises ``MetricsError`` when it fails."""

    def now(self) -> float:
        """Its own clock, Unix seconds."""

    def version(self) -> str:
        """Its version."""

    def scrape_interval(self) -> float:
        """The longest scrape interval in seconds among the targets that carry Istio's metrics."""

    def samples(self, question: Question, *, seconds: float) -> Sequence[Series]:
        """Raw samples of the last ``seconds`` of every series that answers a question; of a comparison, whether it is true now."""

    def wording(self, question: Question) -> str:
        """A question as it is sent, for people who read the record."""


class Load(Protocol):
    """The load generator, in its own process. Raises ``LoadError`` when it can't be started."""

    def prepare(self, spec: LoadSpec, *, entry: str, headers: Mapping[str, str], base: Path) -> None:
        """Starts the process, which loads its code and then waits; ``base`` is the folder of the experiment file."""

    def start(self) -> None:
        """Sends from now on."""

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call; times on the machine's wall clock."""

    def failure(self) -> str | None:
        """Why it is no longer running although it was not stopped; ``None`` while it is well."""

    def stop(self) -> None:
        """Stops it and waits for its end; safe to call twice, and before ``start``."""


class Clock(Protocol):
    """Time. ``now`` never jumps, even if the machine's clock is set meanwhile."""

    def now(self) -> float:
        """Unix seconds at the first call, plus what has passed since."""

    def sleep(self, seconds: float) -> None:
        """Waits; may return early when the run is asked to stop."""

    def wake(self) -> None:
        """Ends a sleep, since the run is asked to stop; called in a signal's handler."""

    def beside(self, work: Callable[[], None]) -> None:
        """Does something that may hang, off the thread that decides; at once in virtual time. It must not raise."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A look at a running experiment, for people.

    Args:
        elapsed: Seconds since the run began.
        rate: Answers per second of the last finished seconds, as the load generator saw them.
        expectations: The expectations of the present phase as they stand.
    """

    run: str
    experiment: str
    phase: PhaseName
    elapsed: float
    rate: float | None = None
    good: float | None = None
    expectations: Sequence[ExpectationResult] = ()
    proof: Proof | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run's end: everything that was recorded and what it amounts to.

    Args:
        folder: Where the record is; ``None`` where it could not be written.
    """

    history: History
    verdict: Verdict
    folder: Path | None = None


class Listener:
    """Hears what happens in a run. A report, a chat message or a dashboard overrides the methods that it needs.

    The run waits for each of them, but not for long, since its fault may be in the mesh: they are called one after the other
    on a thread of the harness's own. ``finished`` comes when all is over, on the thread of the experiment, and may take its
    time. One that raises, or does not return, is named and dropped; it never changes a run or its verdict.
    """

    def started(self, plan: Plan) -> None:
        """The plan was made and is allowed; nothing is written yet. A refused plan starts nothing."""

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        """A phase was entered, ``at`` in Unix seconds on Prometheus' clock."""

    def event(self, run: str, event: Event) -> None:
        """Something happened: see ``chaos.model.events`` for the kinds."""

    def progress(self, progress: Progress) -> None:
        """A look at how the present phase stands, about twice a second."""

    def finished(self, result: Result) -> None:
        """The run is over, judged and recorded; everything is restored, or known not to be. Also after a refusal."""
