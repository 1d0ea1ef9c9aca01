"""What became of the fault: whether it is gone, and what is left in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.model.history import History, Mark
from chaos.model.verdict import Outcome, Reason, ReasonCode, RemovalResult
from chaos.values.answers import Answer


def aftermath(history: History, removed: RemovalResult | None, outcome: Outcome) -> str:
    """Where the fault is at the run's end, as the second half of a sentence; a verdict ends with it, whatever its reasons are."""
    if outcome is Outcome.REFUSED:
        return "nothing was written"
    died_writing = Mark.INJECT_SENT in history.marks and history.ended is None
    if history.residue or _unacknowledged(history) or (removed is None and died_writing):
        return "the fault may still be active"
    if removed is None:
        return "nothing was injected"
    if removed.having:
        return "the fault is still active"
    if removed.answer is Answer.HOLDS:
        return "the fault is gone"
    # Their answers suffice to say this, but not to judge: what is counted has the last word, and comes later.
    return "all callers' proxies have lost the fault" if removed.asked and removed.seconds is not None else _NOT_SEEN


_NOT_SEEN = (
    "the fault is restored, but it was not seen that the proxies lost it (chaosctl status shows whether one is active)"
)


def left_behind(history: History, removed: RemovalResult | None) -> Iterator[Reason]:
    """Residue, and a fault that stayed for too long."""
    hint = f"remove it now: `chaosctl sweep --run {history.run}`. Then check with `chaosctl status` that no fault is active"
    for left in history.residue:
        yield Reason(
            code=ReasonCode.RESIDUE,
            message=f"{left} of this run is still in the cluster, and its fault may still hit requests",
            hint=hint,
        )
    if _unacknowledged(history) and not history.residue:
        yield Reason(
            code=ReasonCode.RESIDUE,
            message="the API never acknowledged the restore, and the fault may still hit requests",
            hint=hint,
        )
    if removed is not None and removed.answer is Answer.VIOLATED:
        yield _still_faulted(history, removed)


def _unacknowledged(history: History) -> bool:
    written = Mark.INJECTED in history.marks or Mark.RESTORE_SENT in history.marks
    return written and Mark.RESTORED not in history.marks


def _still_faulted(history: History, removed: RemovalResult) -> Reason:
    targets = ", ".join(str(one.target) for one in history.plan.injections)
    if removed.having:
        seen = f"{removed.having} of {removed.asked} proxies of callers of {targets} still had the fault when they were last asked, over {removed.allowed:g} s"
    else:
        surely = (removed.seconds or 0.0) - removed.uncertainty
        seen = f"the proxies of callers of {targets} still injected the fault {surely:.1f} s"
    return Reason(
        code=ReasonCode.STILL_FAULTED,
        message=f"{seen} after the API acknowledged the restore; limits.removal allows {removed.allowed:g} s",
        hint="requests may still be hit now. See with `chaosctl status` whether a fault is active, and end it with `chaosctl sweep`. "
        "If there is none, check that istiod runs and that the proxies accept its configuration (istioctl proxy-status). If the "
        "control plane is only slow, raise limits.removal",
    )
