"""A canary shift as it went: its steps, and what came of it."""

from __future__ import annotations

from pydantic import Field

from chaos.model.judged import Again
from chaos.model.verdict import Outcome
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.frozen import Frozen


class Recognised(Frozen):
    """By what the metrics tell which requests the target of a shift got.

    Args:
        of: The hosts of the VirtualService, of whose requests it gets a share.
        hosts: Those of the target's destinations.
        workloads: Those of its subset; ``None`` where it is a host of its own.
    """

    of: tuple[str, ...]
    hosts: tuple[str, ...]
    workloads: tuple[str, ...] | None = None


class ShiftStep(Frozen):
    """A time in which the weights were the same.

    Args:
        percent: Share of the requests that the target got; of the first step, the one that it had before.
        start: When it began, on the clock of the metrics.
        end: When it was decided.
        answer: Of all expectations together.
        expectations: What became of each.
        got: The requests that the target got, of all to the hosts of the VirtualService.
        missed: Why the step shows nothing of the target; empty where the target got its share.
    """

    percent: float
    start: float
    end: float
    answer: Answer = Answer.UNDECIDED
    expectations: tuple[ExpectationResult, ...] = ()
    got: Tally = Tally()
    missed: str = ""

    @property
    def sentence(self) -> str:
        """``20 %: holds after 300 s``, and what does not hold."""
        at = f"at {self.percent:g} %"
        told = [f"    {one.became(at)}" for one in self.expectations if one.answer is not Answer.HOLDS]
        missed = [f"    {self.missed}"] if self.missed else []
        return "\n".join([f"{self.percent:g} %: {self.answer} after {self.end - self.start:.0f} s", *missed, *told])


class Shift(Frozen):
    """What came of a shift.

    Args:
        outcome: ``passed``: all was shifted, and stays so. ``failed``: a step violated the steady state. ``inconclusive``:
            it is undecided. Unless it passed, all is as it was before.
        reason: Why it did not pass.
        stopped: What ended it from outside, such as a freeze, a signal, or somebody else's write; empty where nothing did.
        percents: The shares of all steps that there may be; the first is the one that the target had before.
        every: Seconds that a step lasts.
        by: By what the metrics tell which requests the target got.
        again: What there is to say of a record that was judged again.
        note: What is not as before all the same.
    """

    format: int = 1
    run: str
    experiment: str
    virtual_service: str = Field(description="namespace/name")
    source: str
    target: str
    outcome: Outcome = Outcome.INCONCLUSIVE
    reason: str = ""
    stopped: str = ""
    note: str = ""
    percents: tuple[float, ...]
    every: float
    by: Recognised
    steps: tuple[ShiftStep, ...] = ()
    again: Again | None = None

    @property
    def headline(self) -> str:
        """Its result in one line."""
        way = f"shift of {self.virtual_service} from {self.source} to {self.target}"
        if self.outcome is Outcome.PASSED:
            return f"{way}: PASSED: all requests go to {self.target}"
        return f"{way}: {self.outcome.upper()}: {self.reason}{'' if self.again else '; all is as before'}"
