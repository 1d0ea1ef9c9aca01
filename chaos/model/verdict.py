"""The verdict on a history: an outcome, its reasons and its results."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from chaos.model.experiment import Profile
from chaos.model.judged import Again
from chaos.values.answers import Answer, ExpectationResult, Interval, Tally
from chaos.values.frozen import Frozen
from chaos.values.quantities import format_number, format_share


class Outcome(StrEnum):
    """How a run ended. Several merge by the worst of them."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    BLAST_RADIUS_VIOLATED = "blast-radius-violated"
    CLEANUP_FAILED = "cleanup-failed"
    REFUSED = "refused"
    """Nothing was started."""

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return {Outcome.PASSED: 0, Outcome.INCONCLUSIVE: 3, Outcome.REFUSED: 4}.get(self, 1)


_ORDER = (
    Outcome.PASSED,
    Outcome.REFUSED,
    Outcome.INCONCLUSIVE,
    Outcome.FAILED,
    Outcome.BLAST_RADIUS_VIOLATED,
    Outcome.CLEANUP_FAILED,
)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes; passed where there is none."""
    return max(outcomes, key=_ORDER.index, default=Outcome.PASSED)


class ReasonCode(StrEnum):
    """Every reason that a verdict can have."""

    ALL_HELD = "all-held"
    # inconclusive: the question could not be answered
    NOT_STEADY_BEFORE = "not-steady-before"
    UNDECIDED_BEFORE = "undecided-before"
    UNDECIDED_DURING_FAULT = "undecided-during-fault"
    UNDECIDED_RECOVERY = "undecided-recovery"
    BURSTY = "bursty"
    NO_TRAFFIC = "no-traffic"
    NO_DATA = "no-data"
    NO_CALLERS = "no-callers"
    TARGET_NOT_ANSWERING = "target-not-answering"
    NO_SUCCESS = "no-success"
    FOREIGN_FAULT = "foreign-fault"
    CALLERS_WITHOUT_PROXY = "callers-without-proxy"
    FAULT_NOT_SEEN = "fault-not-seen"
    FAULT_SHARE_OFF = "fault-share-off"
    TOO_FEW_FAULTED = "too-few-faulted"
    FAULT_TOO_SMALL = "fault-too-small"
    FAULT_HITS_OTHERS = "fault-hits-others"
    OUT_OF_REACH = "out-of-reach"
    OTHERS_CALL = "others-call"
    GUARDRAIL_BLIND = "guardrail-blind"
    REQUESTS_HANG = "requests-hang"
    NOT_DISTRIBUTED = "not-distributed"
    LOAD_STARVED = "load-starved"
    LOAD_DIED = "load-died"
    METRICS_LOST = "metrics-lost"
    METRICS_INCOMPLETE = "metrics-incomplete"
    CALLER_NOT_SCRAPED = "caller-not-scraped"
    MESH_LOST = "mesh-lost"
    TARGET_CHANGED = "target-changed"
    INTERRUPTED = "interrupted"
    FROZEN = "frozen"
    HEADER_NOT_FORWARDED = "header-not-forwarded"
    RECORD_LOST = "record-lost"
    RECORD_CHANGED = "record-changed"
    BROKEN = "broken"
    # failed: the system did not do what was expected
    EXPECTATION_VIOLATED = "expectation-violated"
    GUARDRAIL_TRIPPED = "guardrail-tripped"
    NOT_RECOVERED = "not-recovered"
    # failures of their own kind
    FAULT_OUTSIDE_SCOPE = "fault-outside-scope"
    RESIDUE = "residue"
    STILL_FAULTED = "still-faulted"
    # refused: nothing was started
    STAGING_RULE = "staging-rule"
    CANNOT_BREAK = "cannot-break"
    CANNOT_DECIDE = "cannot-decide"
    LOCKED = "locked"
    ENTRY_UNUSABLE = "entry-unusable"

    @property
    def outcome(self) -> Outcome:
        """The outcome that this reason brings about."""
        if self is ReasonCode.ALL_HELD:
            return Outcome.PASSED
        return _OUTCOMES.get(self, Outcome.INCONCLUSIVE)


_OUTCOMES = {
    ReasonCode.EXPECTATION_VIOLATED: Outcome.FAILED,
    ReasonCode.GUARDRAIL_TRIPPED: Outcome.FAILED,
    ReasonCode.NOT_RECOVERED: Outcome.FAILED,
    ReasonCode.FAULT_OUTSIDE_SCOPE: Outcome.BLAST_RADIUS_VIOLATED,
    ReasonCode.RESIDUE: Outcome.CLEANUP_FAILED,
    ReasonCode.STILL_FAULTED: Outcome.CLEANUP_FAILED,
    ReasonCode.STAGING_RULE: Outcome.REFUSED,
    ReasonCode.CANNOT_BREAK: Outcome.REFUSED,
    ReasonCode.CANNOT_DECIDE: Outcome.REFUSED,
    ReasonCode.LOCKED: Outcome.REFUSED,
    ReasonCode.ENTRY_UNUSABLE: Outcome.REFUSED,
}


class ShareProof(Frozen):
    """One kind of a fault (``abort``, ``delay``, …): declared against counted.

    Args:
        kind: The kind; ``off`` for a stage without a fault.
        stage: The number of the fault's stage, from 1; 0 where it has none.
        tally: Faulted requests (``good`` counts the faulted) of all requests of the declared callers in scope.
        proven: Enough faults were counted to say that their share agrees with the declared one, and it does.
        off: The share surely is another one.
        needed: Faulted requests without which nothing is proven.
    """

    kind: str
    flag: str
    stage: int = 0
    declared: float
    tally: Tally
    interval: Interval
    proven: bool
    off: bool
    needed: int = 1

    def __str__(self) -> str:
        stage = f"stage {self.stage}: " if self.stage else ""
        declared = f"{stage}{self.kind}: declared for {format_share(self.declared)}"
        if self.tally.share is None:
            return f"{declared}, no request was counted that would show its share"
        share = self.interval.around(self.tally.share, bound=self.declared)
        return f"{declared}, counted on {self.tally.good} of {self.tally.total} requests = {share}"


class TargetProof(Frozen):
    """What was counted at one target.

    Args:
        target: As ``namespace/service``.
        shares: Each kind of its fault.
        by_caller: Faults by caller, as ``namespace/workload``.
        outside: Callers outside the declared scope that felt a fault, with how many.
    """

    target: str
    shares: tuple[ShareProof, ...] = ()
    by_caller: dict[str, int] = Field(default_factory=dict)
    outside: dict[str, int] = Field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether more faults would not change the answer."""
        return bool(self.shares) and all(share.proven or share.off for share in self.shares)

    @property
    def proven(self) -> bool:
        """All kinds of the fault were counted at their share, and none elsewhere."""
        return bool(self.shares) and not self.outside and all(share.proven for share in self.shares)


class Proof(Frozen):
    """Whether the faults provably hit real traffic, and only the declared one.

    Args:
        targets: Each target, in the order of the experiment's faults.
        proxies: ``12 of 12`` caller proxies had the routes; empty where proxies can't be asked.
    """

    targets: tuple[TargetProof, ...] = ()
    proxies: str = ""

    @property
    def counted(self) -> int:
        """Faults at all targets."""
        return sum(sum(one.by_caller.values()) for one in self.targets)

    @property
    def outside(self) -> tuple[str, ...]:
        """Callers outside the declared scope that felt a fault."""
        return tuple(dict.fromkeys(caller for one in self.targets for caller in one.outside))

    @property
    def complete(self) -> bool:
        """Whether more faults would not change the answer."""
        return bool(self.targets) and all(one.complete for one in self.targets)

    @property
    def proven(self) -> bool:
        """All declared faults were counted at their share at every target, and none elsewhere."""
        return bool(self.targets) and all(one.proven for one in self.targets)


class RemovalResult(Frozen):
    """When the callers' proxies had lost the fault, which is later than the API's acknowledgement of the restore.

    Args:
        seconds: From the acknowledged restore until the fault was surely gone; ``None``: not seen.
        uncertainty: Seconds by which it may have been gone earlier: the time between two answers of the proxies, or since
            the scrape that came before the last counted fault.
        allowed: Seconds that the experiment grants (``limits.removal``).
        answer: ``holds``: gone in time; ``violated``: not in time; ``undecided``: it could not be seen.
        asked: Proxies that were asked; 0: none could be, so that only the counted faults decide.
        having: Proxies that still had the fault when they were last asked.
    """

    seconds: float | None
    uncertainty: float
    allowed: float
    answer: Answer
    asked: int = 0
    having: int = 0


class RecoveryResult(Frozen):
    """When the steady state held again.

    Args:
        seconds: From the moment the fault was gone to the first from which everything holds; ``None``: not seen.
        uncertainty: Seconds by which it may have been earlier: before that, something was surely not good yet.
        allowed: Seconds that the experiment grants.
        bad_until: Seconds after which the last stretch of time ended that was surely not good, where nothing is decided; 0 without one.
    """

    seconds: float | None
    uncertainty: float
    allowed: float
    answer: Answer
    expectations: tuple[ExpectationResult, ...] = Field((), serialization_alias="claims")
    bad_until: float = 0.0

    @property
    def told(self) -> str:
        """The range in which it lies: ``between 8 and 9 s``, ``within 2 s``, ``at once``."""
        seconds = round(
            self.seconds or 0.0, 3
        )  # The metrics know milliseconds; what is less comes from the arithmetic.
        if not seconds:
            return "at once"
        least = round(seconds - self.uncertainty, 3)
        return (
            f"between {format_number(least, 3)} and {format_number(seconds, 3)} s"
            if least > 0
            else f"within {format_number(seconds, 3)} s"
        )


class ChangedEdge(Frozen):
    """Requests of one caller to one service that were not during the fault as they were before.

    Args:
        caller: Its workload, with its namespace if that is not the target's.
        service: Likewise.
        before: Good and all requests of the baseline.
        during: Good and all requests while the fault was active.
        seconds: From the first scrape to the last one of both.
    """

    caller: str
    service: str
    before: Tally
    during: Tally
    seconds: tuple[float, float]

    @property
    def rates(self) -> tuple[float, float]:
        """Requests per second, before and during."""
        before, during = (max(1.0, seconds) for seconds in self.seconds)
        return self.before.total / before, self.during.total / during

    def __str__(self) -> str:
        errors = (1 - tally.share if tally.share is not None else 0.0 for tally in (self.before, self.during))
        before, during = (f"{share:.0%}" if share >= 0.01 or not share else f"{share:.1%}" for share in errors)
        told = f"{before} → {during} errors" if self.during.total else "no request any more"
        rates = " → ".join(format_number(rate, 2) for rate in self.rates) + " requests per second"
        return f"{self.caller} → {self.service}: {told}, {rates}"


class Reason(Frozen):
    """Why the verdict is what it is."""

    code: ReasonCode
    message: str
    hint: str | None = None
    more: str | None = None


class Verdict(Frozen):
    """The verdict on one history.

    Args:
        unshown: What a green verdict does not show, each in a sentence.
        aftermath: What became of the fault, as the second half of a sentence: ``the fault is gone``.
        again: What is to be said of a record that was judged again; ``None`` where it is as it was, and so is its verdict.
    """

    run: str
    experiment: str
    profile: Profile = "default"
    outcome: Outcome
    reasons: tuple[Reason, ...]
    baseline: tuple[ExpectationResult, ...] = ()
    fault: tuple[ExpectationResult, ...] = ()
    guardrails: tuple[ExpectationResult, ...] = ()
    proof: Proof | None = None
    removal: RemovalResult | None = None
    recovery: RecoveryResult | None = None
    changed: tuple[ChangedEdge, ...] = Field((), description="what else changed during the fault; no reason by itself")
    unshown: tuple[str, ...] = Field((), description="what a green verdict does not show")
    aftermath: str = ""
    again: Again | None = None

    @property
    def results(self) -> tuple[ExpectationResult, ...]:
        """What became of each expectation in each phase."""
        return (*self.baseline, *self.fault, *(self.recovery.expectations if self.recovery else ()))

    def but(self, reason: Reason) -> Verdict:
        """The same with a further reason against passing."""
        outcome = worst((self.outcome, reason.code.outcome))
        others = (one for one in self.reasons if one.code is not ReasonCode.ALL_HELD)
        return self.model_copy(update={"outcome": outcome, "reasons": (*others, reason), "unshown": ()})

    @property
    def passed(self) -> bool:
        """Green: steady before, the fault provably hit, all expectations held, recovered, no residue."""
        return self.outcome is Outcome.PASSED
