"""A verdict in words: what was expected, what was observed, the reasons, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.model.verdict import Proof, RecoveryResult, RemovalResult, ShareProof, Verdict
from chaos.values.answers import ExpectationResult

_BAR = "\\|"
_PHASES = {"baseline": "before", "fault": "during the fault", "recovery": "after"}


def headline(verdict: Verdict) -> str:
    """One line: outcome, reason, message. Its first word is the outcome, by which reports sort it."""
    first = verdict.reasons[0]
    return f"{verdict.outcome} ({first.code}): {first.message}"


def verdict_text(verdict: Verdict) -> str:
    """The whole verdict as plain text."""
    lines = [f"{verdict.experiment}: {verdict.outcome.upper()} (run {verdict.run})"]
    for reason in verdict.reasons:
        lines.append(f"  {reason.code}: {reason.message}")
        if reason.hint:
            lines.append(f"    hint: {reason.hint}")
        if reason.more:
            lines.append(f"    more: {reason.more}")
    lines += _evidence(verdict)
    return "\n".join(lines)


def _evidence(verdict: Verdict) -> Iterator[str]:
    for one in (*verdict.baseline, *verdict.fault, *(verdict.recovery.expectations if verdict.recovery else ())):
        yield f"  {_PHASES[one.phase]}: {one.title}: {one.answer}"
        yield f"    expected {one.expected}; observed {one.observed}"
    for one in verdict.guardrails:
        yield f"  guardrail: {one.title}: {one.answer}; observed {one.observed}"
    if verdict.proof is not None:
        yield from (f"  {line}" for line in proof_lines(verdict.proof))
    if verdict.removal is not None:
        yield f"  removal: {removal_text(verdict.removal)}"
    if verdict.recovery is not None:
        yield f"  recovery: {recovery_text(verdict.recovery)}"
    yield from (f"  {line}" for line in changed_lines(verdict))


def proof_lines(proof: Proof) -> list[str]:
    """What was counted of the fault."""
    lines = [f"proof: {share_text(share)}" for share in proof.shares]
    if proof.by_caller:
        lines.append("proof: felt by " + ", ".join(f"{who} ({n})" for who, n in proof.by_caller.items()))
    if proof.outside:
        lines.append("proof: OUTSIDE THE SCOPE: " + ", ".join(f"{who} ({n})" for who, n in proof.outside.items()))
    if proof.proxies:
        lines.append(f"proof: {proof.proxies} caller proxies had the route")
    return lines


def changed_lines(verdict: Verdict) -> list[str]:
    """What else changed during the fault, without being asked for."""
    return [f"changed during the fault: {one}" for one in verdict.changed]


def share_text(share: ShareProof) -> str:
    """One kind of a fault: declared against counted, and whether they agree."""
    answer = "agrees" if share.proven else "does not agree" if share.off else "not decided"
    return f"{share}: {answer}"


def removal_text(removal: RemovalResult) -> str:
    """When the fault was gone from the callers' proxies, after the API had acknowledged the restore."""
    allowed = f"{removal.allowed:g} s are allowed"
    if removal.having:
        have = f"{removal.having} of {removal.asked} caller proxies still had the fault at the last look"
        return f"{removal.answer}: {have}; {allowed}"
    by = (
        f"caller proxies asked: {removal.asked}"
        if removal.asked
        else "decided by the counted faults, since no proxy could be asked"
    )
    if removal.seconds is None:
        return f"{removal.answer}: not seen to be gone; {allowed} ({by})"
    when = f"gone {removal.seconds:.1f} s after the API acknowledged the restore"
    return f"{removal.answer}: {when}, or up to {removal.uncertainty:.1f} s earlier; {allowed} ({by})"


def recovery_text(recovery: RecoveryResult) -> str:
    """When the steady state held again."""
    if recovery.seconds is None:
        return f"{recovery.answer} within {recovery.allowed:g} s"
    return f"within {recovery.seconds:g} ± {recovery.uncertainty:g} s of {recovery.allowed:g} s allowed"


def verdict_markdown(verdict: Verdict) -> str:
    """The whole verdict as Markdown, for reports."""
    lines = [f"## {verdict.outcome.upper()}: {verdict.experiment}", "", f"Run `{verdict.run}`", ""]
    for reason in verdict.reasons:
        hint = f" _{reason.hint}_" if reason.hint else ""
        more = f" (more: {reason.more})" if reason.more else ""
        lines.append(f"- **{reason.code}**: {reason.message}.{hint}{more}")
    expectations = (*verdict.baseline, *verdict.fault, *(verdict.recovery.expectations if verdict.recovery else ()))
    if expectations or verdict.guardrails:
        lines += ["", "| when | expectation | expected | observed | answer |", "|---|---|---|---|---|"]
        for one in expectations:
            lines.append(_markdown_row(_PHASES[one.phase], one))
        lines += [_markdown_row("guardrail", one) for one in verdict.guardrails]
    if verdict.proof is not None:
        lines += ["", *(f"- {line}" for line in proof_lines(verdict.proof))]
    if verdict.removal is not None:
        lines += ["", f"- removal: {removal_text(verdict.removal)}"]
    if verdict.recovery is not None:
        lines += ["", f"- recovery: {recovery_text(verdict.recovery)}"]
    if verdict.changed:
        lines += ["", *(f"- {line}" for line in changed_lines(verdict))]
    return "\n".join(lines) + "\n"


def _markdown_row(when: str, one: ExpectationResult) -> str:
    cells = (when, one.title, one.expected, one.observed, one.answer)
    # A PromQL comparison may hold a bar, which would end the cell.
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"
