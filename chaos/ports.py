"""What the engine needs from outside, as protocols, which adapters and ``chaos.testing`` implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chaos.model.events import Event
from chaos.model.experiment import Load as LoadSpec
from chaos.model.experiment import Request
from chaos.model.history import History, PhaseName
from chaos.model.plan import Plan
from chaos.model.verdict import Proof, Verdict
from chaos.values.answers import ExpectationResult
from chaos.values.content import Marker
from chaos.values.entry import Contact
from chaos.values.held import Held
from chaos.values.load import LoadSecond
from chaos.values.questions import Question
from chaos.values.series import Series

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """Which cluster this is: the context as named, the API server's address, kube-system's UID, the versions.

    What a ``Mesh`` answers, so it knows nothing of metrics or of records; ``Place.of`` makes an ``Environment`` of it.
    """

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
        """All objects as last received; a write may show a moment later. May wait for the first answer."""

    def stop(self) -> None:
        """Ends the watch; never waits, safe to call twice."""


class Mesh(Protocol):
    """The Kubernetes API, as far as the harness uses it. Every call raises ``MeshError`` when it fails."""

    def identity(self) -> Identity:
        """Which cluster this is."""

    def namespace(self, name: str) -> Object | None:
        """A namespace, or ``None`` where there is none of this name."""

    def namespaces(self) -> Sequence[Object]:
        """All namespaces, or those that may be read."""

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

    def http_routes(self) -> Sequence[Object]:
        """The Gateway API's HTTPRoutes of all namespaces; none where these are not served."""

    def grpc_routes(self) -> Sequence[Object]:
        """The Gateway API's GRPCRoutes of all namespaces; none where these are not served."""

    def istio_objects(self, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """All objects of one of Istio's kinds, such as ``Sidecar``, in one namespace or in all; ``MeshError`` 404 if it is not served."""

    def istio_object(self, kind: str, namespace: str, name: str) -> Object | None:
        """One of them, or ``None``."""

    def create_istio_object(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:
        """Creates it in the name of a field manager; the object as stored. ``MeshError`` of status 409 if it exists."""

    def replace_istio_object(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:
        """Replaces it by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""

    def delete_istio_object(self, obj: Object) -> bool:
        """Deletes it as it was seen; whether it was there. ``MeshError`` of status 409 if somebody wrote it meanwhile."""

    def mesh_config(self, root: str, revision: str) -> Object | None:
        """The configuration of a revision's control plane; ``None`` if there is none, which means Istio's defaults."""

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Creates it; the object as stored and the server's warnings."""

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Replaces it by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        """Deletes it, only that of ``uid`` if given; whether there was one."""

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> Sequence[Object]:
        """Every VirtualService and Lease that the harness created or changed; only of one run if ``run`` is given."""

    def lease(self, namespace: str, name: str) -> Object | None:
        """A Lease, or ``None``."""

    def create_lease(self, obj: Object) -> Object:
        """Creates a Lease; ``MeshError`` of status 409 if it exists."""

    def replace_lease(self, obj: Object) -> Object:
        """Replaces a Lease by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""

    def delete_lease(self, namespace: str, name: str, *, uid: str | None = None, version: str | None = None) -> bool:
        """Deletes a Lease, only that of ``uid`` if given; whether there was one.

        With ``version``, only in that version: ``MeshError`` of status 409 if somebody wrote it meanwhile.
        """

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str | None = None) -> bool:
        """Whether the identity in use may do something, in a namespace or in all (SelfSubjectAccessReview)."""

    def annotate_namespace(self, name: str, key: str, value: str | None) -> None:
        """Sets an annotation of a namespace, or removes it."""

    def record_event(self, involved: Object, *, reason: str, message: str, warning: bool = False) -> None:
        """Writes a Kubernetes Event on an object."""

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        """The routes that a pod's proxy has now, as its admin interface prints them; ``None`` if exec is denied."""

    def stats_of_proxy(self, namespace: str, pod: str) -> str | None:
        """What a pod's proxy counts of its connection to istiod; ``None`` if exec is denied."""


class Metrics(Protocol):
    """The back end of the mesh's metrics, such as Prometheus. Every call raises ``MetricsError`` when it fails."""

    def now(self) -> float:
        """Its own clock, Unix seconds."""

    def version(self) -> str:
        """Its version."""

    def scrape_interval(self) -> float | None:
        """How often the proxies are to be scraped, in seconds; ``None`` where only their samples will tell."""

    def held(self) -> Held:
        """What there is of Istio's metrics at present, of any service."""

    def samples(self, question: Question, *, seconds: float, at: float | None = None) -> Sequence[Series]:
        """Raw samples of the ``seconds`` up to a moment, by default up to now, of every series that answers a question.

        For a comparison, whether it is true at that moment. Several threads may ask at once. An answer that lacks a part is
        none: it raises ``MetricsError``.
        """

    def wording(self, question: Question) -> str:
        """A question as it is sent, for people who read the record."""


class Load(Protocol):
    """The load generator, in its own process. Raises ``LoadError`` when it can't be started."""

    def prepare(
        self, spec: LoadSpec, *, entry: str, headers: Mapping[str, str], base: Path, markers: Sequence[Marker] = ()
    ) -> None:
        """Starts the process, which loads its code and then waits.

        Args:
            spec: What to send.
            entry: The mesh's entry.
            headers: Sent with every request.
            base: The folder of the experiment file.
            markers: What each answer's content is looked at for; the seconds tell which ones matched.
        """

    def start(self) -> None:
        """Sends from now on."""

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call; times on the machine's wall clock."""

    def failure(self) -> str | None:
        """Why it no longer runs although nobody stopped it; ``None`` while it works."""

    def stop(self) -> None:
        """Stops it and waits for its end; safe to call twice, and before ``start``."""

    def log(self) -> str:
        """What it wrote for people while it ran, without what looks like a secret; empty before it was stopped."""


class Probe(Protocol):
    """Looks at the mesh's entry before anything is written. Never raises: what went wrong is in the ``Contact``."""

    def connect(self, entry: str, *, host: str | None) -> Contact:
        """Connects, with TLS where the URL asks for it, and sends no request; ``host`` is the name that TLS is told."""

    def ask(self, entry: str, request: Request, *, host: str | None) -> Contact:
        """Sends one request, which must be safe to send at any time; ``host`` is its Host header, if it names none itself."""


class Clock(Protocol):
    """Time. ``now`` never jumps, even if the machine's clock is set meanwhile."""

    def now(self) -> float:
        """Unix seconds at the first call, plus the seconds since then."""

    def sleep(self, seconds: float) -> None:
        """Waits; may return early when the run is asked to stop."""

    def wake(self) -> None:
        """Ends a sleep when the run is asked to stop; a signal's handler calls it."""

    def beside(self, work: Callable[[], None]) -> None:
        """Calls something that may hang, on a thread of its own; in virtual time, at once. It must not raise."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The current state of a run, for people.

    Args:
        elapsed: Seconds since the run began.
        rate: Answers per second of the last finished seconds, by the load generator.
        expectations: The current results of the expectations in this phase.
        wait: Seconds that are left of the phase's shortest time; before its end nothing is decided.
    """

    run: str
    experiment: str
    phase: PhaseName
    elapsed: float
    rate: float | None = None
    expectations: Sequence[ExpectationResult] = ()
    wait: float = 0.0
    proof: Proof | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run returns: its history and its verdict.

    Args:
        folder: The folder of the record; ``None`` if it could not be written.
    """

    history: History
    verdict: Verdict
    folder: Path | None = None


class Listener:
    """Receives the events of a run. A report, a chat message or a dashboard overrides the methods that it needs.

    The run waits for each call, but for a second at most, since its fault may be in the mesh. The calls come one after the other,
    on a thread of the harness. ``finished`` is called when all is over, on the thread of the experiment, and may take
    long. A listener that raises, or does not return, is named and dropped; it never changes a run or its verdict.
    """

    def started(self, plan: Plan) -> None:
        """The plan was made and is allowed; nothing is written yet. A refused plan starts nothing."""

    def phase(self, run: str, phase: PhaseName, at: float) -> None:
        """A phase was entered, ``at`` in Unix seconds on Prometheus' clock."""

    def event(self, run: str, event: Event) -> None:
        """An event happened: see ``chaos.model.events`` for the kinds."""

    def progress(self, progress: Progress) -> None:
        """The current state of the phase, about twice a second."""

    def finished(self, result: Result) -> None:
        """The run is over, judged and recorded; it has restored, or the verdict says that it could not. Also after a refusal."""
