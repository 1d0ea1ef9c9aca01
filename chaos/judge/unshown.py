"""What a green verdict does not show, although its reader may think so. None of it is a reason against passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from chaos.expectations.confidence import decide, interval
from chaos.expectations.evidence import Window
from chaos.expectations.good import is_success
from chaos.expectations.kind import Phase
from chaos.expectations.share import ShareOfGood
from chaos.judge.alpha import share_of_confidence
from chaos.judge.answers import about_answers, answers_of, counted_as_good, shares_of_answers, succeeded, until_fault
from chaos.judge.facts import Facts
from chaos.judge.ours import calls_per_second
from chaos.judge.reach import not_reached
from chaos.judge.tested import too_small_alone
from chaos.model.history import Mark
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.load import LoadCell
from chaos.values.quantities import format_number

_SURE: Final = 0.99
"""Confidence with which more answers than before are no successes. No verdict rests on it."""
_TIMES: Final = 2.0
"""How many times less often a target is called that is told."""
_EXPECTED: Final = 20
"""Calls that have to be expected before their absence says anything."""


def unshown(
    facts: Facts, expectations: tuple[ExpectationResult, ...], now: float, *, recovered: float
) -> Iterator[str]:
    """Each in a sentence: what the plan warned of, what the fault could not break, and what nothing looked at.

    Args:
        facts: What is known of the run.
        expectations: What became of them during the fault.
        now: Up to when.
        recovered: When the system had recovered.
    """
    yield from (one.message for one in facts.plan.warnings if one.weakens)
    yield from not_reached(facts, now)
    yield from too_small_alone(facts, expectations, now)
    yield from _requests_of_one_name(facts)
    phases = _phases(facts, expectations, now, recovered)
    yield from _unlike_before(facts, phases, now)
    yield from _no_success(facts, phases)
    yield from _taken_for_good(facts, now)
    yield from _called_less(facts, recovered)
    yield from _answers_worse(facts, recovered)


def _requests_of_one_name(facts: Facts) -> Iterator[str]:
    """The metrics do not know the names of the load's requests."""
    names = {request.label for request in facts.experiment.load.requests}
    for one in facts.experiment.steady_state:
        asked = set(one.names_of_load())
        if asked and names != asked and one.has_to_rise is None:
            targets = ", ".join(str(found.target) for found in facts.plan.injections)
            yield (
                f"{one.title!r} is about the load's requests {', '.join(map(repr, sorted(asked)))}, and the metrics do not show whether these need {targets}: if they do not, "
                "the fault could not break it; look at a trace of such a request"
            )


@dataclass(frozen=True)
class _Phase:
    """The phases after the baseline, each with its window, its name in words, and the bounds of its expectations."""

    name: Phase
    window: Window
    when: str
    bounds: Sequence[float]


def _phases(facts: Facts, expectations: Sequence[ExpectationResult], now: float, recovered: float) -> Sequence[_Phase]:
    """The fault's time, and that after the recovery."""
    during, end = facts.faulted(now), facts.marks.get(Mark.LOAD_STOPPED, now)
    found = (
        [_Phase("fault", during, "during the fault", [one.bound for one in expectations])] if during is not None else []
    )
    if recovered < end:
        steady = facts.experiment.steady_state
        least = [one.at_least.share if isinstance(one, ShareOfGood) else 0.0 for one in steady]
        found.append(_Phase("recovery", Window(recovered, end), "after the recovery", least))
    return found


def _unlike_before(facts: Facts, phases: Sequence[_Phase], now: float) -> Iterator[str]:
    """Worse answers to the load than before, where no expectation is about answers; or more errors than those admit that are about some of them."""
    judged = about_answers(facts, now)
    good, bad, head = succeeded, "no successes (2xx)", "no expectation is about the answers to requests"
    if any(judged):
        good, bad = (lambda cell: not _is_error(cell)), "errors (5xx, or none)"
        head = "what is expected of answers is not about all of those to the load"
    before = _answers(facts, facts.baseline, good)
    usual = interval(before.good, before.total, confidence=_SURE)
    for one in phases:
        then, bounds = _answers(facts, one.window, good), [*compress(one.bounds, judged)]
        if interval(then.good, then.total, confidence=_SURE).high < min([usual.low, *bounds]):
            yield (
                f"{head}: {one.when}, {then.total - then.good} of {then.total} answers to the load were {bad}, and before the fault "
                f"{before.total - before.good} of {before.total}; to have them judged, add an expectation of the load's answers (from: client)"
            )


def _no_success(facts: Facts, phases: Sequence[_Phase]) -> Iterator[str]:
    """Expectations that hold by answers that are neither errors nor successes, such as 404, and are so only since the fault."""
    namespace, confidence = facts.namespace, share_of_confidence(facts.experiment)
    places = {kind.title: place for place, kind in enumerate(facts.experiment.steady_state)}
    for phase, (kind, one) in ((then, found) for then in phases for found in shares_of_answers(facts, then.name)):
        answers = one.statuses(facts.evidence, phase.window, namespace)
        good, total = _successes(answers)
        if one is kind:
            fewer = decide(good, total, phase.bounds[places[kind.title]], confidence=confidence) is Answer.VIOLATED
        else:  # its bound is relative to the baseline, or is no share
            before = one.statuses(facts.evidence, facts.baseline, namespace) if facts.baseline is not None else {}
            taken, usual = (
                sum(counted_as_good(one, told).values()) - _successes(told)[0] for told in (answers, before)
            )
            least, most = (
                interval(taken, total, confidence=_SURE).low,
                interval(usual, sum(before.values()), confidence=_SURE).high,
            )
            fewer = least > most
        if fewer:
            told = ", ".join(f"{status} for {n}" for status, n in sorted(answers.items()) if not is_success(status))
            of = "" if one is kind else f" of {', '.join(one.hosts(namespace))}"
            yield (
                f"{kind.title!r} holds only because it counts answers as good that are no successes: of {total} answers{of} {phase.when}, status {told}; if they "
                "should not count as good, declare good.status 2xx"
            )


def _taken_for_good(facts: Facts, now: float) -> Iterator[str]:
    """Errors that a locustfile called ``success()``."""
    found = _answers(facts, facts.faulted(now), lambda cell: not (cell.judged and _is_error(cell)))
    if found.good < found.total:
        yield f"the locustfile counted {found.total - found.good} errors (5xx, or no answer) during the fault as good answers, because it calls success() for them"


def _called_less(facts: Facts, since: float) -> Iterator[str]:
    """Targets whose callers do without them since the fault, in part; where they do so almost always, the run is not green."""
    end = facts.marks.get(Mark.LOAD_STOPPED)
    if end is None or facts.baseline is None:
        return
    for one in facts.plan.injections:
        if any(
            kind.notices_fewer and one.host in kind.hosts(facts.experiment.target.namespace)
            for kind in facts.experiment.steady_state
        ):
            continue
        known = Window(since, min(end, facts.evidence.last_scrape(one.requests)))
        before, after = (calls_per_second(facts, one, window) for window in (facts.baseline, known))
        if after * _TIMES < before and before * (known.end - known.start) >= _EXPECTED:
            yield (
                f"{one.target} is called less often since the fault, {format_number(after, 2)} times per second, and {format_number(before, 2)} before; no expectation is about how often it "
                "is called (throughput)"
            )


def _answers_worse(facts: Facts, since: float) -> Iterator[str]:
    """Targets that answer their callers worse than before since the fault, while these go on; where almost always, the run is not green."""
    end = facts.marks.get(Mark.LOAD_STOPPED, since)
    for one in facts.plan.injections if since < end else ():
        before, after = (answers_of(facts, one, window) for window in (until_fault(facts), Window(since, end)))
        (good, total), (usual, every) = _successes(after), _successes(before)
        if interval(good, total, confidence=_SURE).high < interval(usual, every, confidence=_SURE).low:
            yield (
                f"{one.target} answers worse since the fault: after the recovery, {total - good} of {total} answers to its callers were no successes (2xx), and "
                f"before the fault {every - usual} of {every}; nothing that is expected shows it"
            )


def _successes(answers: Mapping[str, int]) -> tuple[int, int]:
    """The number of successes and of all answers, from their numbers by status."""
    return sum(n for status, n in answers.items() if is_success(status)), sum(answers.values())


def _is_error(cell: LoadCell) -> bool:
    return cell.status == 0 or cell.status >= 500


def _answers(facts: Facts, window: Window | None, good: Callable[[LoadCell], bool]) -> Tally:
    """The load's answers in a window: all, and the good ones."""
    cells = facts.evidence.load.cells(window.start, window.end) if window is not None else ()
    return Tally(good=sum(cell.count for cell in cells if good(cell)), total=sum(cell.count for cell in cells))
