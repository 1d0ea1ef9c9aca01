"""Why something could not be decided, and what would decide it: more events, other events, or another bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from chaos.expectations.dependence import BURSTY
from chaos.expectations.kind import Kind
from chaos.judge.facts import Facts
from chaos.judge.load import statuses
from chaos.judge.tested import hanging
from chaos.model.verdict import Reason, ReasonCode, RecoveryResult
from chaos.values.answers import Answer, ExpectationResult
from chaos.values.quantities import format_share

_RELAPSED: Final = (
    "run again. What fails at the same time after each fault is a relapse. What fails now and then without a fault, too, is seen "
    "before the fault with a longer observe.atLeast"
)
_FEW_AFTER: Final = "raise load.rate, or raise limits.baseline: a run also looks for that much longer after the fault. Or expect less: change the bounds"


def undecided(
    facts: Facts, expectations: Sequence[ExpectationResult], code: ReasonCode, limit: str
) -> Iterator[Reason]:
    """Why expectations stayed undecided before the fault, or during it.

    Args:
        facts: What is known of the run.
        expectations: What became of them in that phase.
        code: The reason, where events are all that is missing.
        limit: The field of the experiment by which that phase can last longer.
    """
    for kind, one in zip(facts.experiment.steady_state, expectations, strict=False):  # of no phase that did not begin
        if one.answer is not Answer.UNDECIDED:
            continue
        if one.missing:
            yield Reason(code=ReasonCode.NO_DATA, message=one.sentence, hint=one.hint)
        elif one.tally.total == 0 and one.hint is None:
            got = statuses(facts)
            yield Reason(
                code=ReasonCode.NO_TRAFFIC,
                message=f"{one.when}, no event was counted for {one.title!r}: {one.told}"
                + (f"; the load got {got}" if got else ""),
                hint="check the name of the service, that the load's requests lead to it, that its callers have a sidecar, and "
                "that Prometheus scrapes them",
            )
        elif requests := hanging(facts, one):
            yield _hangs(one, requests)
        elif one.effect >= BURSTY:
            yield Reason(
                code=ReasonCode.BURSTY,
                message=one.sentence,
                hint="find out what fails from time to time: it may fail without the fault, too. To decide the expectation, observe for "
                f"longer: raise observe.atLeast and {limit}",
            )
        elif one.hint is not None:
            yield Reason(code=code, message=one.sentence, hint=one.hint)
        elif one.interval is None:  # no share, so more events need not be what is missing
            yield Reason(
                code=code,
                message=one.sentence,
                hint=f"raise {limit}, load.rate or observe.atLeast, so that there is more to decide by; what was seen may also lie "
                f"too close to the bound: then change it{_field(kind, one)}",
            )
        else:
            yield Reason(
                code=code,
                message=f"{one.when}, there were too few events to decide {one.title!r}: {one.told}{_either_way(one)}",
                hint=f"raise {limit} or load.rate. If the true share is as large as the bound, no number of events decides it: "
                f"then change the bound{_field(kind, one)}",
            )


def undecided_recovery(facts: Facts, after: RecoveryResult) -> Iterator[Reason]:
    """Why it is not known whether the steady state held again in time, and stayed so."""
    open_ = [one for one in after.expectations if one.answer is Answer.UNDECIDED]
    hang = [_hangs(one, requests) for one in open_ if (requests := hanging(facts, one))]
    if hang:
        yield from hang
        return
    told = [f"{one.title!r} {one.told}" for one in open_]
    relapsed = after.bad_until > after.allowed
    question = f"whether the steady state held again within {after.allowed:g} s, and stayed so"
    if open_ and not relapsed and all(one.interval and one.tally.good == one.tally.total for one in open_):
        message, hint = f"after the fault, there were too few events to decide {question}: ", _FEW_AFTER
    else:
        message = f"after the fault, it stayed undecided {question}: "
        hint = f"find out what fails for a moment after the fault. To decide the question all the same, {_FEW_AFTER}"
    if relapsed:
        told.append(f"it was surely not good for a time that ended {after.bad_until:g} s after the fault was gone")
        hint = _RELAPSED
    message += "; ".join(told) or "for a short time after that, it surely was not"
    yield Reason(code=ReasonCode.UNDECIDED_RECOVERY, message=message, hint=hint)


def _field(kind: Kind, one: ExpectationResult) -> str:
    """The field with the bound that held in its phase."""
    field = "duringFault" if one.phase == "fault" and "during_fault" in type(kind).model_fields else kind.loosened_by
    return f" ({field})" if field else ""


def _either_way(one: ExpectationResult) -> str:
    """What the interval in brackets means, where it contains the bound."""
    if one.interval is None or not one.interval.low <= one.bound <= one.interval.high:
        return ""
    return f", so the true share can be on either side of {format_share(one.bound)}"


def _hangs(one: ExpectationResult, requests: int) -> Reason:
    return Reason(
        code=ReasonCode.REQUESTS_HANG,
        message=f"{one.when}, {requests} requests of the load were still without an answer, and had waited for longer than any answer "
        f"took. If they fail, {one.title!r} may be violated: {one.told}",
        hint="give the callers of the target a time-out, or set load.timeout so that it is shorter than the phase",
    )
