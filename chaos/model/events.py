"""What happens in a run: one class for each kind of event, with its data and its sentence for people.

A new kind is added here alone: its class, and its name in ``AnyEvent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaos.model.plan import Strategy
from chaos.values.answers import Answer
from chaos.values.frozen import Frozen


class TroubleKind(StrEnum):
    """Why a run could not go on as planned, apart from what the judge reads in the counts; each is a ``ReasonCode``, too."""

    METRICS_LOST = "metrics-lost"
    METRICS_INCOMPLETE = "metrics-incomplete"
    LOAD_DIED = "load-died"
    MESH_LOST = "mesh-lost"
    TARGET_CHANGED = "target-changed"
    NOT_DISTRIBUTED = "not-distributed"
    INTERRUPTED = "interrupted"
    FROZEN = "frozen"
    LOCKED = "locked"
    ENTRY_UNUSABLE = "entry-unusable"
    RECORD_LOST = "record-lost"
    BROKEN = "broken"


class Trouble(Frozen):
    """Something that kept the run from answering its question."""

    at: float
    kind: TroubleKind
    message: str
    hint: str | None = None


class Event(Frozen):
    """Something that happened in a run.

    Args:
        at: When, in Unix seconds on Prometheus' clock.
        kind: What, in a word or two; each class has its own.
    """

    live: ClassVar[bool] = True
    """Whether people who watch the run are told at once."""
    label: ClassVar[str] = ""
    """What pictures call it; empty where they leave it out."""
    words: ClassVar[str]
    """Its sentence, into which its data are put."""

    at: float
    kind: str

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return self.words.format_map(dict(self))


# --- before the fault --------------------------------------------------------------------------------------------------


class EntryNoted(Event):
    """What the mesh's entry answered before anything was written, where that is no reason to stop."""

    kind: Literal["entry"] = "entry"
    text: str
    words = "{text}"


class Locked(Event):
    """The run holds its target's lease."""

    live = False
    kind: Literal["locked"] = "locked"
    namespace: str
    service: str
    words = "this run holds the lease of {namespace}/{service}"


class NotSteady(Event):
    """The baseline did not show that the steady state holds."""

    label = "not steady"
    kind: Literal["not-steady"] = "not-steady"
    answer: Answer
    words = "the steady state is {answer} before the fault: nothing is injected"


class ForeignFault(Event):
    """Faults that this run did not inject hit the target in the baseline."""

    label = "foreign fault"
    kind: Literal["foreign-fault"] = "foreign-fault"
    count: int
    words = "{count} faults that this run did not inject hit the target: nothing is injected"


class NoCallers(Event):
    """The target has no caller whose proxy could inject."""

    label = "no callers"
    kind: Literal["no-callers"] = "no-callers"
    words = "no caller whose proxy could inject calls the target: nothing is injected"


class NothingToTest(Event):
    """The baseline held, but showed no system that a fault could test.

    Args:
        why: The message of the verdict's reason.
    """

    label = "nothing to test"
    kind: Literal["nothing-to-test"] = "nothing-to-test"
    why: str
    words = "{why}: nothing is injected"


# --- while it is injected ----------------------------------------------------------------------------------------------


class Overtaken(Event):
    """Somebody wrote the target's object first, so that the injection is planned again."""

    live = False
    kind: Literal["overtaken"] = "overtaken"
    answer: str
    words = "somebody wrote the object first: {answer}"


class Injected(Event):
    """A fault as it was really sent, which the plan can't know: the object as Kubernetes acknowledged it.

    Args:
        strategy: How the fault got in.
        stored: The object, with its uid, resourceVersion, owner reference, labels and undo record.
    """

    kind: Literal["injected"] = "injected"
    strategy: Strategy
    stored: Mapping[str, Any]
    words = "{strategy}: {stored[metadata][namespace]}/{stored[metadata][name]}"


class StageBegan(Event):
    """Every caller's proxy has the next stage of a fault."""

    label = "stage"
    kind: Literal["stage"] = "stage"
    target: str
    number: int
    of: int
    fault: str
    words = "{target}: stage {number} of {of}: {fault}"


class GuardrailTripped(Event):
    """A stop condition is surely violated."""

    label = "guardrail"
    kind: Literal["guardrail"] = "guardrail"
    title: str
    words = "{title!r} is violated: the run restores at once"


class OutsideScope(Event):
    """Callers that were not declared felt the fault."""

    label = "outside the scope"
    kind: Literal["outside-scope"] = "outside-scope"
    callers: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All who felt it."""
        were = "was" if len(self.callers) == 1 else "were"
        return f"{', '.join(self.callers)} felt the fault and {were} not declared: the run restores at once"


class ApiSilent(Event):
    """The Kubernetes API did not answer when the run checked the target."""

    live = False
    kind: Literal["api-silent"] = "api-silent"
    answer: str
    words = "the target could not be read: {answer}"


class MetricsNoted(Event):
    """What should be known of the samples of the metrics, and is no reason to stop."""

    kind: Literal["metrics"] = "metrics"
    text: str
    words = "{text}"


class MetricsSilent(Event):
    """The metrics did not answer, or only in part; such an answer is not used, and the question is asked again."""

    live = False
    kind: Literal["metrics-silent"] = "metrics-silent"
    answer: str
    words = "the metrics could not be read: {answer}"


# --- when it is restored -----------------------------------------------------------------------------------------------


class RestoreRetried(Event):
    """An attempt to restore failed, and another one follows."""

    label = "restore retried"
    kind: Literal["restore-retried"] = "restore-retried"
    why: str
    words = "{why}"


class Restored(Event):
    """The API acknowledged the restore.

    Args:
        object: What was written, as ``namespace/name``.
        strategy: How the fault was in.
        exact: Whether a patched object's spec is what it was before; ``None``: not known.
    """

    kind: Literal["restored"] = "restored"
    object: str
    strategy: Strategy
    exact: bool | None = None

    @property
    def sentence(self) -> str:
        """What became of the object that was written or changed."""
        if self.strategy is not Strategy.PATCH:
            return f"{self.object} is deleted"
        if self.exact:
            return f"the spec of {self.object} is what it was before"
        others = "others wrote meanwhile: " if self.exact is False else ""
        return f"{others}only the fault was taken out of {self.object}"


class Gone(Event):
    """No caller's proxy has the fault any more."""

    kind: Literal["gone"] = "gone"
    asked: int
    words = "no caller's proxy has the fault any more ({asked} asked)"


class ProxiesSilent(Event):
    """The callers' proxies can't be asked."""

    kind: Literal["proxies-silent"] = "proxies-silent"
    words = "the callers' proxies can't be asked: the counted faults decide"


class RemovalNotAwaited(Event):
    """The run was stopped before the proxies were seen to have lost the fault."""

    kind: Literal["removal-not-awaited"] = "removal-not-awaited"
    words = "the run was stopped: it did not wait until the proxies had lost the fault"


class Ownership(Event):
    """Fields of a patched object do not belong to their owners of before."""

    label = "owners not as before"
    kind: Literal["ownership"] = "ownership"
    left: str
    words = "{left}"


class ReleaseRetried(Event):
    """The lease could not be given back yet, because something is left or the API did not answer."""

    live = False
    kind: Literal["release-retried"] = "release-retried"
    why: str
    words = "{why}"


class CallerJoined(Event):
    """A workload that was not there before has the labels of the declared callers, so it is one of them."""

    label = "a caller joined"
    kind: Literal["caller-joined"] = "caller-joined"
    caller: str
    target: str
    words = "{caller} has the labels of the declared callers of {target}: it is one of them"


# --- at any time -------------------------------------------------------------------------------------------------------


class RoutesChanged(Event):
    """Routes began to send requests to a host on to another one; from then on they are counted there, too."""

    label = "routes changed"
    kind: Literal["routes-changed"] = "routes-changed"
    host: str
    destination: str
    words = "routes began to send requests for {host} to {destination}: they are counted there, too"


class Troubled(Event):
    """The run can't go on as planned; its end says more (``History.troubles``)."""

    label = "trouble"
    kind: Literal["trouble"] = "trouble"
    trouble: TroubleKind
    message: str
    words = "{trouble}: {message}"


class ListenerDropped(Event):
    """A listener failed and hears nothing more of this run."""

    live = False  # whoever drops it says so
    kind: Literal["listener-dropped"] = "listener-dropped"
    listener: str
    why: str
    words = "{listener}: {why}"


class Noted(Event):
    """What a record of an earlier format tells in words only."""

    kind: Literal["noted"] = "noted"
    text: str
    words = "{text}"


AnyEvent = Annotated[
    EntryNoted | Locked | NotSteady | ForeignFault | NoCallers | NothingToTest | Overtaken | Injected | StageBegan
    | GuardrailTripped | OutsideScope | CallerJoined | ApiSilent | MetricsNoted | MetricsSilent
    | RestoreRetried | Restored | Gone | ProxiesSilent | RemovalNotAwaited | Ownership | ReleaseRetried | Troubled
    | RoutesChanged | ListenerDropped | Noted,
    Field(discriminator="kind"),
]  # fmt: skip
