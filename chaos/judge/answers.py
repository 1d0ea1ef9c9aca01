"""How requests were answered, by their status: of the load, of the targets, and of what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaos.expectations.evidence import Window
from chaos.expectations.good import is_success
from chaos.expectations.kind import Kind, Phase
from chaos.expectations.mesh import by_status
from chaos.expectations.share import ShareOfGood
from chaos.istio.metrics import caller_of
from chaos.judge.facts import Facts
from chaos.judge.proof import is_declared
from chaos.judge.reach import Reach
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.values.answers import ExpectationResult
from chaos.values.load import LoadCell


def shares_of_answers(facts: Facts, phase: Phase) -> Iterator[tuple[Kind, ShareOfGood]]:
    """Expectations that count successes as good answers, with each share of answers that they are made of in a phase."""
    for kind in facts.experiment.steady_state:
        for one in kind.parts(phase):
            if isinstance(one, ShareOfGood) and one.broken_by_errors and one.good.takes_success:
                yield kind, one


def counted_as_good(one: ShareOfGood, answers: Mapping[str, int]) -> Mapping[str, int]:
    """Answers by status without those that are errors by what is declared."""
    if one.good.grpc is not None:
        return answers
    return {
        status: n
        for status, n in answers.items()
        if is_success(status) or not status.isdigit() or one.good.status_is_good(int(status))
    }


def with_statuses(
    facts: Facts, results: Sequence[ExpectationResult], window: Window | None
) -> tuple[ExpectationResult, ...]:
    """The results of expectations in a window, with the statuses that were counted."""
    if window is None or not results:
        return tuple(results)
    pairs = zip(facts.experiment.steady_state, results, strict=True)
    return tuple(by_statuses(facts, one, result, window) for one, result in pairs)


def by_statuses(facts: Facts, one: Kind, result: ExpectationResult, window: Window) -> ExpectationResult:
    """The result of one of them, with the counted statuses; unchanged where it is no share of answers, or none was counted."""
    answers: Mapping[str, int] = {}
    if isinstance(one, ShareOfGood):
        answers = one.statuses(facts.evidence, window, facts.namespace)
    more = f"{result.observed}; status {told(answers)}" if answers else result.observed
    return result.model_copy(update={"observed": more})


def about_answers(facts: Facts, now: float) -> Sequence[bool]:
    """Of each expectation, whether it is about answers that become bad where a faulted request goes wrong."""
    reach = Reach.of(facts, now)
    return [
        isinstance(one, ShareOfGood) and one.broken_by_errors and (reach is None or reach.may_break(one))
        for one in facts.experiment.steady_state
    ]


def succeeded(cell: LoadCell) -> bool:
    """Whether answers to the load did what was asked: by what a locustfile said of them, else by their status."""
    return is_success(str(cell.status)) if cell.judged is None else cell.judged


def until_fault(facts: Facts) -> Window | None:
    """From when the load began to the end of the baseline."""
    start, end = facts.marks.get(Mark.LOAD_STARTED), facts.marks.get(Mark.BASELINE_UNTIL)
    return None if start is None or end is None else Window(start, end)


def answers_of(facts: Facts, injection: Injection, window: Window | None) -> Mapping[str, int]:
    """A target's answers to declared callers, by status."""
    found = facts.evidence.counted(injection.requests, window) if window is not None else ()
    return by_status((one, count) for one, count in found if is_declared(injection, caller_of(one.labels)))


def succeeding(answers: Mapping[str, int]) -> float:
    """The share of successes; all where no answer was counted, which is another matter."""
    total = sum(answers.values())
    return sum(n for status, n in answers.items() if is_success(status)) / total if total else 1.0


def told(answers: Mapping[str, int]) -> str:
    """``404 for 640 of 650 answers, 200 for 10``."""
    total = sum(answers.values())
    parts = [f"{status} for {n}" for status, n in sorted(answers.items(), key=lambda item: -item[1])]
    return f"{parts[0]} of {total} requests" + "".join(f", {part}" for part in parts[1:])
