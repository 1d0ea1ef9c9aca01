"""A verdict in words: what was expected, what was observed, the reasons, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaos.model.judged import Again
from chaos.model.shift import Shift
from chaos.model.verdict import Proof, RecoveryResult, RemovalResult, ShareProof, Verdict
from chaos.values.answers import Answer, ExpectationResult
from chaos.values.quantities import format_confidence

_BAR = "\\|"
_UNKNOWN = "the record holds no verdict, so nothing shows whether it was changed after the run"


def headline(verdict: Verdict) -> str:
    """One line: outcome, reason, message. Its first word is the outcome, by which reports sort it."""
    first = verdict.reasons[0]
    return f"{verdict.outcome} ({_remarks(verdict)}{first.code}): {'; '.join([first.message, *after_reasons(verdict)])}"


def after_reasons(verdict: Verdict) -> list[str]:
    """What became of the fault: told once, after all reasons; that of a passed run says it by itself."""
    return [verdict.aftermath] if verdict.aftermath and not verdict.passed else []


def _remarks(verdict: Verdict) -> str:
    hypothetical = "hypothetical, " if verdict.again and verdict.again.what_if else ""
    return hypothetical + ("quick, for trying only, " if verdict.profile == "quick" else "")


def verdict_text(verdict: Verdict) -> str:
    """The whole verdict as plain text."""
    lines = [f"{verdict.experiment}: {verdict.outcome.upper()} ({_remarks(verdict)}run {verdict.run})"]
    lines += [f"  {line}" for line in _again(verdict.again)]
    for reason in verdict.reasons:
        lines.append(f"  {reason.code}: {reason.message}")
        if reason.hint:
            lines.append(f"    hint: {reason.hint}")
        if reason.more:
            lines.append(f"    more: {reason.more}")
    lines += [f"  at the end: {line}" for line in after_reasons(verdict)]
    lines += [f"  {line}" for line in unshown_lines(verdict)]
    lines += _evidence(verdict)
    return "\n".join(lines)


def shift_text(shift: Shift) -> str:
    """A whole shift as plain text."""
    steps = [line for step in shift.steps for line in step.sentence.splitlines()]
    return "\n".join([shift.headline, *(f"  {line}" for line in (*_again(shift.again), *steps))])


def _confidence(verdict: Verdict) -> Iterator[str]:
    """How sure the intervals are, of which each has a confidence of its own."""
    intervals = [one.interval for one in (*verdict.results, *verdict.guardrails) if one.interval is not None]
    if intervals:
        least = format_confidence(min(interval.confidence for interval in intervals))
        yield f"ranges in brackets: each contains the true share, with a confidence of at least {least}"


def _again(again: Again | None) -> Iterator[str]:
    """What is to be said of a record that was judged again."""
    if again is None:
        return
    if again.what_if:
        supposed = ", ".join(f"{place} = {value}" for place, value in again.what_if.items())
        yield f"what if {supposed}? The run ended its phases by the values that were declared; what stays undecided needs another run"
    if again.changed is None:
        yield _UNKNOWN
    for one in again.differences:
        yield f"differs from {again.by}: {one}"
    if again.what_if and not again.differences:
        yield f"nothing differs from {again.by}"


def _evidence(verdict: Verdict) -> Iterator[str]:
    for one in verdict.results:
        yield f"  {one.when}: {one.title!r}: {one.answer}"
        yield f"    {one.told}"
    for one in verdict.guardrails:
        yield f"  guardrail: {one.title!r}: {one.answer}; observed {one.observed}"
    if verdict.proof is not None:
        yield from (f"  {line}" for line in proof_lines(verdict.proof))
    if verdict.removal is not None:
        yield f"  removal: {removal_text(verdict.removal)}"
    if verdict.recovery is not None:
        yield f"  recovery: {recovery_text(verdict.recovery)}"
    yield from (f"  {line}" for line in changed_lines(verdict))
    yield from (f"  {line}" for line in _confidence(verdict))


def proof_lines(proof: Proof) -> list[str]:
    """What was counted of the faults."""
    lines = []
    for one in proof.targets:
        lines += [f"proof: {one.target}: {share_text(share)}" for share in one.shares]
        for words, felt in (("felt by", one.by_caller), ("OUTSIDE THE SCOPE:", one.outside)):
            if felt:
                lines.append(f"proof: {one.target}: {words} " + ", ".join(f"{who} ({n})" for who, n in felt.items()))
    if proof.proxies:
        lines.append(f"proof: {proof.proxies} caller proxies had the fault's routes")
    return lines


def unshown_lines(verdict: Verdict) -> list[str]:
    """What a green verdict does not show."""
    return [f"not shown: {one}" for one in verdict.unshown]


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
        have = f"{removal.having} of {removal.asked} caller proxies still had the fault when they were last asked"
        return f"{removal.answer}: {have}; {allowed}"
    by = (
        f"caller proxies asked: {removal.asked}"
        if removal.asked
        else "decided by the counted faults, since no proxy could be asked"
    )
    if removal.seconds is None:
        return f"{removal.answer}: not seen to be gone; {allowed} ({by})"
    if removal.answer is Answer.UNDECIDED:
        lost = (
            f"the proxies lost it {removal.seconds:.1f} s after the API acknowledged the restore, and the"
            if removal.asked
            else "the"
        )
        return f"{removal.answer}: {lost} counts did not show yet that it is gone; {allowed} ({by})"
    when = f"gone {removal.seconds:.1f} s after the API acknowledged the restore"
    return f"{removal.answer}: {when}, or up to {removal.uncertainty:.1f} s earlier; {allowed} ({by})"


def recovery_text(recovery: RecoveryResult) -> str:
    """When the steady state held again."""
    if recovery.seconds is None:
        seen = "not in time" if recovery.answer is Answer.VIOLATED else "undecided"
        return f"{seen}; {recovery.allowed:g} s are allowed"
    return f"{recovery.told}; {recovery.allowed:g} s are allowed"


def verdict_markdown(verdict: Verdict) -> str:
    """The whole verdict as Markdown, for reports."""
    run = f"{_remarks(verdict)}run".capitalize()
    lines = [f"## {verdict.outcome.upper()}: {verdict.experiment}", "", f"{run} `{verdict.run}`", ""]
    lines += [f"- {line}" for line in _again(verdict.again)]
    for reason in verdict.reasons:
        hint = f" _{reason.hint}_" if reason.hint else ""
        more = f" (more: {reason.more})" if reason.more else ""
        lines.append(f"- **{reason.code}**: {reason.message}.{hint}{more}")
    lines += [f"- at the end: {line}" for line in after_reasons(verdict)]
    lines += [f"- {line}" for line in unshown_lines(verdict)]
    if verdict.results or verdict.guardrails:
        lines += ["", "| when | expectation | expected | observed | answer |", "|---|---|---|---|---|"]
        lines += [_markdown_row(one.when, one) for one in verdict.results]
        lines += [_markdown_row("guardrail", one) for one in verdict.guardrails]
    if verdict.proof is not None:
        lines += ["", *(f"- {line}" for line in proof_lines(verdict.proof))]
    if verdict.removal is not None:
        lines += ["", f"- removal: {removal_text(verdict.removal)}"]
    if verdict.recovery is not None:
        lines += ["", f"- recovery: {recovery_text(verdict.recovery)}"]
    if verdict.changed:
        lines += ["", *(f"- {line}" for line in changed_lines(verdict))]
    lines += [f"\n- {line}" for line in _confidence(verdict)]
    # What answers and names say is text: shown in a page, a tag or a picture of theirs would load something.
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", "\n".join(lines)).replace("![", "!\\[") + "\n"


def _markdown_row(when: str, one: ExpectationResult) -> str:
    cells = (when, one.title, one.expected, one.observed, one.answer)
    # A PromQL comparison may hold a bar, which would end the cell.
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"
