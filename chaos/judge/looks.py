"""Looks at expectations in a window: what is asked of them, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Finding, Kind, Look, Phase
from chaos.istio.hosts import short
from chaos.judge.alpha import longest_delay
from chaos.judge.facts import Facts
from chaos.values.answers import Answer, ExpectationResult


def look_at(facts: Facts, phase: Phase, window: Window, *, confidence: float, reaches_back: bool = False) -> Look:
    """The questions to every expectation in a window."""
    experiment = facts.experiment
    least = {
        "baseline": experiment.observed_for / 2,
        "fault": experiment.observed_for,
        "recovery": experiment.stays_good_for,
    }
    return Look(
        phase=phase,
        window=window,
        namespace=experiment.target.namespace,
        confidence=confidence,
        delay=longest_delay(experiment),
        baseline=facts.baseline if phase != "baseline" else None,
        faulted=facts.faulted(window.start) if phase == "recovery" else None,
        at_least=least[phase].total_seconds(),
        reaches_back=reaches_back,
    )


def closely(facts: Facts, phase: Phase, window: Window, *, confidence: float, reaches_back: bool = False) -> Look:
    """A look at one stretch of time, however short; its bad events count one by one."""
    look = look_at(facts, phase, window, confidence=confidence, reaches_back=reaches_back)
    return replace(look, at_least=0.0, at_once=True)


def judged(facts: Facts, kinds: Sequence[Kind], look: Look) -> tuple[ExpectationResult, ...]:
    """What became of expectations in a window."""
    return tuple(_with_parts(facts, one, one.tell(decided(facts, one, look), look.phase), look) for one in kinds)


def _with_parts(facts: Facts, kind: Kind, told: ExpectationResult, look: Look) -> ExpectationResult:
    """With what was counted at each destination, where routes send a service's requests to several."""
    apart = {short(host, look.namespace): tally for host, tally in kind.apart(facts.evidence, look).items()}
    if not apart:
        return told
    parts = ", ".join(f"{tally.good} of {tally.total} at {name}" for name, tally in apart.items())
    found = told.model_copy(update={"apart": apart, "observed": f"{told.observed}; of these {parts}"})
    worse = [name for name, tally in apart.items() if (tally.share or 0.0) < told.bound]
    if told.answer is not Answer.VIOLATED or told.interval is None or not 0 < len(worse) < len(apart):
        return found
    hint = f"only {', '.join(worse)} is worse than expected: routes send a part of the requests there, as to a canary; look at its version first"
    return found.model_copy(update={"hint": hint})


def decided(facts: Facts, kind: Kind, look: Look) -> Finding:
    """What the evidence says of an expectation; nothing yet in a window that is too short to say anything."""
    found = facts.evidence.kept((kind, look), look.window, lambda: kind.decide(facts.evidence, look))
    return replace(found, answer=Answer.UNDECIDED) if look.too_short else found
