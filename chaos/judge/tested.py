"""Was anything tested? A system that did not work, or that nothing could break, holds every expectation and shows nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import sqrt
from typing import Final

from chaos.expectations.client import FAILURE
from chaos.expectations.confidence import decide
from chaos.expectations.evidence import Window
from chaos.expectations.kind import Phase
from chaos.expectations.share import ShareOfGood, rest_of
from chaos.judge.alpha import longest_delay, share_of_confidence
from chaos.judge.answers import (
    about_answers,
    answers_of,
    counted_as_good,
    shares_of_answers,
    succeeded,
    succeeding,
    told,
    until_fault,
)
from chaos.judge.facts import Facts
from chaos.judge.live import guardrails_before
from chaos.judge.load import statuses
from chaos.judge.others import others_before
from chaos.judge.ours import calls_per_second, listened, share_of_load
from chaos.judge.proof import felt, is_declared
from chaos.judge.reach import Reach
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.answers import WHEN, Answer, ExpectationResult, Tally
from chaos.values.quantities import format_number, format_share

_EXPECTED: Final = 20
"""Calls that have to be expected before their absence says anything, or answered before their failure does."""
_SURE: Final = 3.0
"""Standard deviations of a count."""
_SCRAPES: Final = 5
"""Scrape intervals of a baseline that tells how often a target is usually called."""
_WORKS: Final = 0.1
"""Share of successful answers below which almost nothing succeeds."""


# --- before the fault --------------------------------------------------------------------------------------------------


def untested_before(facts: Facts) -> Iterator[Reason]:
    """Why the baseline shows no system that works, although its expectations hold."""
    window = facts.baseline
    if window is None:
        return
    for injection in facts.plan.injections:
        answers = answers_of(facts, injection, until_fault(facts))
        if succeeding(answers) < _WORKS:
            yield Reason(
                code=ReasonCode.TARGET_NOT_ANSWERING,
                message=f"{injection.host} did not work before the fault: it answered with status {told(answers)}",
                hint=f"check that the target has ready pods (kubectl -n {injection.target.namespace} get endpointslices). If it has, send "
                "requests that it answers with success: a fault in a service that fails anyway changes nothing. `chaosctl doctor` looks for "
                "other causes, such as subsets without pods or mutual TLS",
            )
    yield from _no_success(facts, window, "baseline")
    yield from _load_without_success(facts, window, "baseline")
    yield from _tripped_before(facts)
    yield from others_before(facts)


def _tripped_before(facts: Facts) -> Iterator[Reason]:
    """Guardrails that would end the run for what is so without any fault."""
    for one in guardrails_before(facts):
        if one.answer is Answer.VIOLATED:
            yield Reason(
                code=ReasonCode.NOT_STEADY_BEFORE,
                message=f"the guardrail {one.sentence}. It would end the run as soon as the fault begins, whatever the fault does",
                hint="find out why it is so without any fault (`chaosctl doctor` looks for the usual causes), or change the guardrail so that "
                "the system keeps it when it is well, and run again",
            )


def _no_success(facts: Facts, window: Window, phase: Phase) -> Iterator[Reason]:
    """Expectations that 404 for all would hold, or a redirect to a login page, although nobody declared that."""
    namespace = facts.namespace
    for kind, one in shares_of_answers(facts, phase):
        answers = one.statuses(facts.evidence, window, namespace)
        if succeeding(taken := counted_as_good(one, answers)) < _WORKS:
            most = max(taken, key=taken.__getitem__)
            of = "" if one is kind else f" of {', '.join(one.hosts(namespace))}"
            cure = "check the load's paths, its headers (Host, credentials) and its data"
            if phase != "baseline":
                cure = "before the fault such requests succeeded: see what the service answers in place of an error, or what its callers lost (a session)"
            expected = f'if these answers are what you expect, declare their status alone, such as status: "{most}"'
            yield Reason(
                code=ReasonCode.NO_SUCCESS,
                message=f"almost no answer{of} {WHEN[phase]} was a success (2xx), and {kind.title!r} counts these answers as good: status {told(answers)}",
                hint=f"{cure}; " + ("see why the locustfile calls failure()" if most.endswith(FAILURE) else expected),
            )


def _load_without_success(facts: Facts, window: Window, phase: Phase) -> Iterator[Reason]:
    """Where no expectation judges answers: a system that answers the load with errors alone holds rates, flags and alerts, too."""
    if any(about_answers(facts, window.end)):
        return
    cells = facts.evidence.load.cells(window.start, window.end)
    good = sum(cell.count for cell in cells if succeeded(cell))
    if good < _WORKS * sum(cell.count for cell in cells):
        cure = "check the load's paths, its headers (Host, credentials) and its data, and whether the system works at all (`chaosctl doctor`)"
        if phase != "baseline":
            cure = "see what fails since the fault, though such requests succeeded before it; to make this a failure, expect good answers to the load"
        yield Reason(
            code=ReasonCode.NO_SUCCESS,
            message=f"almost no answer to the load {WHEN[phase]} was a success (2xx), and no expectation looks at answers: the load got {statuses(facts, window)}",
            hint=f"{cure}. If these answers are what you expect, declare them as an expectation (from: client, good: {{status: …}})",
        )


# --- during the fault --------------------------------------------------------------------------------------------------


def untested_during(
    facts: Facts, expectations: Sequence[ExpectationResult], guarded: Sequence[ExpectationResult], now: float
) -> Iterator[Reason]:
    """Why what held during the fault shows nothing."""
    for one in guarded:
        if not one.tally.total:
            yield Reason(
                code=ReasonCode.GUARDRAIL_BLIND,
                message=f"the guardrail {one.title!r} (it expects {one.expected}) counted no event during the fault, so nothing could have tripped it"
                + (f"; the load got {got}" if (got := statuses(facts)) else ""),
                hint=one.hint
                or "check the names in the guardrail (of the service, the caller or the load's request), and that the load's requests lead there",
            )
    yield from _stuck(facts, expectations)
    window = facts.faulted(now)
    if window is None:
        return
    yield from _no_success(facts, window, "fault")
    yield from _could_not_break(facts, expectations, window)


def _stuck(facts: Facts, expectations: Sequence[ExpectationResult]) -> Iterator[Reason]:
    """A user of a locustfile who waits sends no further requests: what the others count is not what users got."""
    load = facts.experiment.load
    for result in expectations if load.locustfile else ():
        stuck = hanging(facts, result)
        if stuck > max(0.0, 1 - result.bound) * load.users:  # a bound that is no share is over 1
            yield Reason(
                code=ReasonCode.REQUESTS_HANG,
                message=f"{result.title!r} can't be decided: {stuck} of {load.users} users of the locustfile still waited for an answer when the fault "
                "ended, longer than any answer took. While they wait, no event is counted",
                hint="give the callers of the target a time-out; to see how the requests end, give those of the locustfile one that "
                "is shorter than the fault (timeout=)",
            )
            return


def hanging(facts: Facts, result: ExpectationResult) -> int:
    """Requests of the load that had no answer when a phase ended, and waited longer than answers took, but for a few."""
    ever = float("inf")
    windows = {"baseline": facts.baseline, "fault": facts.faulted(ever), "recovery": facts.restored(ever)}
    window = windows[result.phase]
    return facts.evidence.load.overdue(window.start, window.end, rest=rest_of(min(1.0, result.bound))) if window else 0


def _could_not_break(facts: Facts, expectations: Sequence[ExpectationResult], window: Window) -> Iterator[Reason]:
    """Expectations that would have held if each faulted request had made an answer bad, besides those that are bad without a fault.

    That is the worst that a system can make of them, however many calls of the target it makes for an answer. Requests that
    the target would have failed anyway are not worse for the fault; nor are those of callers that these answers do not need, those by which
    there were more calls than in the baseline (of others, or tries of the same), and those of others, where only the load is answered.
    """
    namespace, confidence, heard = (
        facts.namespace,
        share_of_confidence(facts.experiment),
        listened(facts),
    )
    for one, result, tally, hit in _hits(facts, expectations, window):
        faulted = sum(hit)
        if _holds_without(faulted, tally, result.bound, confidence):
            yield Reason(
                code=ReasonCode.FAULT_TOO_SMALL,
                message=f"the fault was too small to test {one.title!r}: during the fault, {tally.total} answers were counted, and only {faulted} "
                f"of the requests that the fault hit could have made one of these bad. Even with {faulted} bad answers, at least {format_share(result.bound)} "
                "would have been good",
                hint=f"raise the fault's percentage; or expect more than {format_share(result.bound)}; or send load that calls the target more "
                "often; or let the expectation count only requests that need the target",
            )
        elif heard is not None and not one.tally(facts.evidence, heard, namespace).total:
            pairs = zip(facts.plan.injections, hit, strict=True)
            ours = sum(share_of_load(facts, injection, heard) * n for injection, n in pairs)
            if _holds_without(round(ours), tally, result.bound, confidence):
                yield Reason(
                    code=ReasonCode.FAULT_HITS_OTHERS,
                    message=f"{one.title!r} counts only answers to the load, but of the {faulted} requests that the fault hit, "
                    f"{f'only {round(ours)}' if round(ours) else 'none'} surely belong to the load: other clients called the target already before the load began",
                    hint="check that the load calls the target, or raise load.rate. Or let the fault hit only the load's requests "
                    "(target.onlyOurLoad, target.match). Or run while the other clients are quiet",
                )


def too_small_alone(facts: Facts, expectations: Sequence[ExpectationResult], now: float) -> Iterator[str]:
    """Of several targets, those whose fault alone could have broken none of the expectations."""
    window, confidence, injections = facts.faulted(now), share_of_confidence(facts.experiment), facts.plan.injections
    found = list(_hits(facts, expectations, window)) if window is not None and len(injections) > 1 else []
    for number, injection in enumerate(injections if found else ()):
        if all(_holds_without(hit[number], tally, result.bound, confidence) for _, result, tally, hit in found):
            yield (
                f"the fault at {injection.target} alone was too small to break anything that was expected: at most {max(hit[number] for *_, hit in found)} of the "
                "requests that it hit could have made an answer bad; to test this target, too, raise its percentage"
            )


def _hits(
    facts: Facts, expectations: Sequence[ExpectationResult], window: Window
) -> Iterator[tuple[ShareOfGood, ExpectationResult, Tally, Sequence[int]]]:
    """The shares of answers that the fault may break, with what was counted, as good as in the baseline, and how many bad answers each target's fault can have made."""
    experiment, evidence, injections = facts.experiment, facts.evidence, facts.plan.injections
    works = [succeeding(answers_of(facts, injection, until_fault(facts))) for injection in injections]
    settled, reach = Window(window.start + longest_delay(experiment), window.end), Reach.of(facts, window.end)
    for one, result in zip(experiment.steady_state, expectations, strict=True):
        if not isinstance(one, ShareOfGood) or not one.broken_by_errors or (reach and not reach.may_break(one)):
            continue
        needed = reach.needed_by(one) if reach else None
        felt = [_faulted(facts, injection, one.counting(evidence, settled), needed) for injection in injections]
        hit = [round(part * number) for part, number in zip(works, felt, strict=True)]
        yield one, result, _as_usual(facts, one, settled), hit


def _as_usual(facts: Facts, one: ShareOfGood, window: Window) -> Tally:
    """A window's answers, as many of them good as by the baseline's share: what the fault itself made bad is not among the bad ones."""
    namespace = facts.namespace
    found = one.tally(facts.evidence, window, namespace)
    before = one.tally(facts.evidence, facts.baseline, namespace).share if facts.baseline is not None else None
    return found if before is None else Tally(good=round(before * found.total), total=found.total)


def _holds_without(bad: int, tally: Tally, bound: float, confidence: float) -> bool:
    """Whether a bound surely holds although some good answers had been bad ones."""
    return decide(max(0, tally.good - bad), tally.total, bound, confidence=confidence) is Answer.HOLDS


def _faulted(facts: Facts, injection: Injection, window: Window, needed: Collection[str] | None) -> int:
    """Faulted requests of a target's declared callers, of all or of some; no more than in the baseline there were requests in such a time."""
    hit = sum(
        n
        for caller, n in felt(facts, injection, window).items()
        if is_declared(injection, caller) and (needed is None or caller in needed)
    )
    before = facts.baseline
    if before is None or before.end - before.start < _SCRAPES * facts.environment.scrape_interval:
        return hit  # in so short a baseline, one scrape more or less makes another rate, or none
    rate = calls_per_second(facts, injection, before)
    usual = rate * max(0.0, window.end - window.start)
    return round(min(hit, usual + _SURE * sqrt(usual)))


# --- after the fault ---------------------------------------------------------------------------------------------------


def untested_after(facts: Facts, since: float) -> Iterator[Reason]:
    """Why what held from a moment after the fault is no recovery: who is sent to a login page has lost the session."""
    end = facts.marks.get(Mark.LOAD_STOPPED)
    if end is None or facts.baseline is None:
        return
    yield from _no_success(facts, Window(since, end), "recovery")
    yield from _load_without_success(facts, Window(since, end), "recovery")
    for injection in facts.plan.injections:
        known = Window(since, min(end, facts.evidence.last_scrape(injection.requests)))
        before, after = (calls_per_second(facts, injection, one) for one in (facts.baseline, known))
        if after < _WORKS * before and before * (known.end - since) >= _EXPECTED:
            yield Reason(
                code=ReasonCode.NO_CALLERS,
                message=f"{injection.host} is hardly called any more since the fault: {format_number(after, 2)} times per second, {format_number(before, 2)} before; its callers "
                "do without it, which is no recovery",
                hint="look for a circuit breaker in the callers that stays open, a pool that stays stuck, or a fallback that is cached. To make this a "
                "failure, expect that the target is asked again (throughput)",
            )
        elif _known_to_fail(answers := answers_of(facts, injection, known)):
            yield Reason(
                code=ReasonCode.TARGET_NOT_ANSWERING,
                message=f"{injection.host} no longer works since the fault: after the recovery, it answered with status {told(answers)}; its callers do without "
                "its answers, which is no recovery",
                hint="see what became of the target's pods (restarts, readiness, too much load by retries). To make this a failure, expect that its answers are "
                f"good: a second expectation of {injection.target.service} with a duringFault that the fault alone does not violate",
            )


def _known_to_fail(answers: Mapping[str, int]) -> bool:
    """Whether almost none of so many answers was a success that it is no chance."""
    return sum(answers.values()) >= _EXPECTED and succeeding(answers) < _WORKS
