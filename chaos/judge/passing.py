"""What a green verdict rests on: each part of the proof has to be there."""

from __future__ import annotations

from chaos.judge.alpha import share_of_confidence
from chaos.judge.facts import Facts
from chaos.judge.troubles import broken
from chaos.model.history import History, Mark
from chaos.model.verdict import Proof, Reason, ReasonCode, RecoveryResult, RemovalResult
from chaos.values.quantities import format_confidence


def held_again(facts: Facts, removed: RemovalResult | None, after: RecoveryResult | None) -> float:
    """The moment from which on the steady state held again; never, where that was not seen."""
    gone = facts.gone(removed)
    return float("inf") if gone is None or after is None or after.seconds is None else gone + after.seconds


def all_held(history: History, proof: Proof, removed: RemovalResult | None, after: RecoveryResult | None) -> Reason:
    """The reason for passing, or that a part of the proof is missing although no reason is against it."""
    needed = (
        Mark.BASELINE_UNTIL,
        Mark.INJECTED,
        Mark.FAULT_FROM,
        Mark.RESTORE_SENT,
        Mark.RESTORED,
        Mark.LOAD_STOPPED,
    )
    missing = [f"marks.{mark.value}" for mark in needed if mark not in history.marks]
    if not proof.proven:
        missing.append("proof")
    if removed is None or removed.seconds is None:
        missing.append("removal")
    if after is None or after.seconds is None:
        missing.append("recovery")
    if history.ended is None:
        missing.append("end")
    if missing:
        return broken(
            f"nothing was found against passing, but the record lacks what a green verdict needs ({', '.join(missing)})"
        )
    assert removed and after and removed.seconds is not None and after.seconds is not None  # noqa: S101, PT018 - see above
    confidence = format_confidence(share_of_confidence(history.plan.experiment))
    marks = history.marks
    observed = marks[Mark.RESTORE_SENT] - marks[Mark.FAULT_FROM]
    stayed = marks[Mark.LOAD_STOPPED] - marks[Mark.RESTORED] - removed.seconds - after.seconds
    return Reason(
        code=ReasonCode.ALL_HELD,
        message=f"the system was steady before the fault, which hit {proof.counted} requests, at the declared share. Every expectation held "
        f"for {observed:.0f} s of the fault (each with {confidence} confidence). The fault was gone from the proxies within "
        f"{removed.seconds:.1f} s; the system recovered {after.told} after that, and stayed good for {stayed:.0f} s. There is no residue",
    )
