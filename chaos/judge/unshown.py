"""What a green verdict does not show, although its reader may think so. None of it is a reason against passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chaos.expectations import ClientExpectation
from chaos.expectations.confidence import interval
from chaos.expectations.evidence import Window
from chaos.expectations.share import ShareOfGood
from chaos.judge.facts import Facts
from chaos.judge.reach import not_reached
from chaos.judge.tested import too_small_alone
from chaos.values.answers import ExpectationResult, Tally
from chaos.values.load import LoadCell


def unshown(facts: Facts, expectations: tuple[ExpectationResult, ...], now: float) -> Iterator[str]:
    """Each in a sentence: what the plan warned of, what the fault could not break, and what nothing looked at."""
    yield from (one.message for one in facts.plan.warnings if one.weakens)
    yield from not_reached(facts, now)
    yield from too_small_alone(facts, expectations, now)
    yield from _requests_of_one_name(facts)
    yield from _errors(facts, now)
    yield from _taken_for_good(facts, now)


def _requests_of_one_name(facts: Facts) -> Iterator[str]:
    """The metrics do not know the names of the load's requests."""
    names = {request.label for request in facts.experiment.load.requests}
    for one in facts.experiment.steady_state:
        if isinstance(one, ClientExpectation) and one.request is not None and names != {one.request}:
            targets = ", ".join(str(found.target) for found in facts.plan.injections)
            yield (
                f"whether the requests {one.request!r}, of which {one.title!r} is, need {targets} at all is not known, since the metrics do not tell the "
                "load's requests apart: if they do not, the fault could not break it"
            )


def _errors(facts: Facts, now: float) -> Iterator[str]:
    """More errors during the fault, where no expectation is about answers."""
    if any(isinstance(one, ShareOfGood) and one.broken_by_errors for one in facts.experiment.steady_state):
        return
    before, during = (_answers(facts, window, _is_error) for window in (facts.baseline, facts.faulted(now)))
    usual, then = (interval(one.total - one.good, one.total, confidence=0.99) for one in (before, during))
    if then.low > usual.high:
        yield (
            f"no expectation is about how requests are answered: during the fault, {during.total - during.good} of {during.total} answers to the load were "
            f"errors (5xx, or none), and before it {before.total - before.good} of {before.total}"
        )


def _taken_for_good(facts: Facts, now: float) -> Iterator[str]:
    """Errors that a locustfile called ``success()``."""
    found = _answers(facts, facts.faulted(now), lambda cell: bool(cell.judged) and _is_error(cell))
    if found.good < found.total:
        yield f"the locustfile took {found.total - found.good} errors (5xx, or no answer) during the fault for good answers, since it calls success() for them"


def _is_error(cell: LoadCell) -> bool:
    return cell.status == 0 or cell.status >= 500


def _answers(facts: Facts, window: Window | None, bad: Callable[[LoadCell], bool]) -> Tally:
    """The load's answers in a window: all, and those that are not bad."""
    seconds = facts.evidence.load.between(window.start, window.end) if window is not None else ()
    cells = [cell for second in seconds for cell in second.cells]
    total = sum(cell.count for cell in cells)
    return Tally(good=total - sum(cell.count for cell in cells if bad(cell)), total=total)
