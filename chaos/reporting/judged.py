"""A verdict as it is stored with the facts that it rests on."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.model.judged import Judged, Told
from chaos.model.verdict import ReasonCode, Verdict
from chaos.reporting.prose import recovery_text, removal_text, share_text
from chaos.values.answers import Answer
from chaos.version import __version__


def summed_up(verdict: Verdict, *, digest: str = "") -> Judged:
    """A verdict by this version, on facts that have this digest."""
    messages: dict[str, tuple[str, ...]] = {}
    for reason in verdict.reasons:
        if reason.code is not ReasonCode.ALL_HELD:
            messages[reason.code] = (*messages.get(reason.code, ()), reason.message)
    return Judged(
        harness=__version__, digest=digest, outcome=verdict.outcome, reasons=messages, answers=dict(_answers(verdict))
    )


def _answers(verdict: Verdict) -> Iterator[tuple[str, Told]]:
    for result in verdict.results:
        yield f"{result.when}: {result.title}", Told(answer=result.answer, text=result.told)
    for result in verdict.guardrails:
        yield f"guardrail: {result.title}", Told(answer=result.answer, text=result.told)
    for one in verdict.proof.targets if verdict.proof else ():
        for share in one.shares:
            answer = Answer.HOLDS if share.proven else Answer.VIOLATED if share.off else Answer.UNDECIDED
            stage = f"stage {share.stage}: " if share.stage else ""
            yield f"proof: {one.target}: {stage}{share.kind}", Told(answer=answer, text=share_text(share))
    if verdict.removal is not None:
        yield "removal", Told(answer=verdict.removal.answer, text=removal_text(verdict.removal))
    if verdict.recovery is not None:
        yield "recovery", Told(answer=verdict.recovery.answer, text=recovery_text(verdict.recovery))
