"""Why something could not be decided, and what would decide it: more events, other events, or another bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final

from chaos.expectations.confidence import decide
from chaos.expectations.dependence import BURSTY
from chaos.expectations.kind import Kind, Phase
from chaos.expectations.share import Share
from chaos.judge.facts import Facts
from chaos.judge.load import statuses
from chaos.judge.proof import ends_off
from chaos.judge.tested import hanging
from chaos.model.verdict import Reason, ReasonCode, RecoveryResult
from chaos.values.answers import Answer, ExpectationResult
from chaos.values.quantities import format_number, format_share

_RELAPSED: Final = (
    "run again. If it fails at the same time after each fault, that is a relapse. If it also fails now and then without a fault, "
    "a longer observe.atLeast shows that before the fault"
)
_LATE: Final = "it held over that time as a whole, but not in each scrape, and what followed the last bad one came too late, or was too little, to decide"
_SCRAPE_MORE: Final = (
    "find out what fails for a moment after the fault (the run's picture, timeline.png, shows when). If the system may take so long, raise recovery.within. To "
    "know better when it recovered, scrape the proxies more often, or raise load.rate"
)
_FEW_AFTER: Final = (
    "raise load.rate or limits.baseline (once the fault is gone, a run looks for at most recovery.within + recovery.stayGood + "
    "limits.baseline). Or expect less: lower the bounds (atLeast)"
)
_UNSENT: Final = "check that the load, or its locustfile, sends requests of that name"
_SILENT: Final = "no answer that Locust counts (what its tasks raised is in load.log, in the run's folder)"
_UNCOUNTED: Final = (
    "check the names of the service and, if one is declared, of the caller; that the load's requests lead there; that the callers have "
    "a sidecar; and that Prometheus scrapes their proxies"
)
_NO_MORE: Final = (
    "such requests were counted before the fault, so the names are right: see whether they are sent no more while the fault lasts (an open breaker, "
    "a cache, users who wait for their answers), and whether the fault lasted for several scrape intervals"
)
_STAGES: Final = "repeat the stages more often, or let each last longer (a run stops observing when they have ended without a fault), and raise limits.fault"
"""Where the stages end without a fault, a higher limit alone gives no time."""
_MANY: Final = 50
"""Times the events of a run for which nobody waits."""
_STEP: Final = 1.2
"""How closely is told how many events it takes."""


def undecided(
    facts: Facts, expectations: Sequence[ExpectationResult], code: ReasonCode, phase: Phase
) -> Iterator[Reason]:
    """Why expectations stayed undecided before the fault, or during it.

    Args:
        facts: What is known of the run.
        expectations: What became of them in that phase.
        code: The reason, where events are all that is missing.
        phase: Which phase it is; the limit of its name says how long it may last.
    """
    longer = _STAGES if phase == "fault" and ends_off(facts) else f"raise limits.{phase}"
    for kind, one in zip(facts.experiment.steady_state, expectations, strict=False):  # of no phase that did not begin
        if one.answer is not Answer.UNDECIDED:
            continue
        if one.missing:
            yield Reason(code=ReasonCode.NO_DATA, message=one.sentence, hint=one.hint)
        elif one.tally.total == 0 and one.hint is None:
            got = statuses(facts) or (_SILENT if facts.experiment.load.locustfile else "")
            yield Reason(
                code=ReasonCode.NO_TRAFFIC,
                message=f"{one.when}, no event was counted for {one.title!r}: {one.told}"
                + (f"; the load got {got}" if got else ""),
                hint=_NO_MORE if phase == "fault" else _UNSENT if kind.counted_by_load else _UNCOUNTED,
            )
        elif requests := hanging(facts, one):
            yield _hangs(one, requests)
        elif one.hint is not None:
            yield Reason(code=code, message=one.sentence, hint=one.hint)
        elif one.effect >= BURSTY:
            yield Reason(
                code=ReasonCode.BURSTY,
                message=one.sentence,
                hint="find out what fails from time to time (the run's picture, timeline.png, shows when): it may fail without the fault, "
                f"too. To decide the expectation, observe for longer: {longer} and observe.atLeast",
            )
        elif one.interval is None:  # no share, so more events need not be what is missing
            yield Reason(
                code=code,
                message=one.sentence,
                hint=f"{longer}, load.rate or observe.atLeast, so that there is more to decide by; what was seen may also lie "
                f"too close to the bound: then change it{_field(kind, phase)}",
            )
        else:
            yield Reason(
                code=code,
                message=f"{one.when}, there were too few events to decide {one.title!r}: {one.told}{_either_way(kind, one, phase)}",
                hint=_more(kind, one, phase, longer),
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
        told.append(
            f"the steady state was surely violated for a time that ended {format_number(after.bad_until, 3)} s after the fault was gone"
        )
        hint = _RELAPSED
    elif not open_:
        hint = _SCRAPE_MORE
    message += "; ".join(told) or _LATE
    yield Reason(code=ReasonCode.UNDECIDED_RECOVERY, message=message, hint=hint)


def _field(kind: Kind, phase: Phase) -> str:
    """The field with the bound that held in a phase."""
    field = kind.loosened_by.get(phase)
    return f" ({field})" if field else ""


def _is_relative(kind: Kind, phase: Phase) -> bool:
    return isinstance(kind, Share) and kind.bound_in(phase).relative


def _either_way(kind: Kind, one: ExpectationResult, phase: Phase) -> str:
    """What the interval in brackets means, where it contains the bound, or the bound is uncertain itself."""
    if _is_relative(kind, phase):
        return "; the bound is uncertain, too, since it is relative to the share that was seen before the fault"
    if one.interval is None or not one.interval.low <= one.bound <= one.interval.high:
        return ""
    return f"; the true share can be on either side of {format_share(one.bound)}"


def _more(kind: Kind, one: ExpectationResult, phase: Phase, longer: str) -> str:
    """How many events would decide a share, if it stays as it was seen."""
    field, longer = _field(kind, phase), f"{longer} or load.rate"
    equal = f"If the true share is as large as the bound, no number of events decides it: then change the bound{field}"
    if _is_relative(kind, phase):
        return f"raise observe.atLeast or load.rate, so that the share before the fault is known better (the baseline lasts for at least half of observe.atLeast). {equal}"
    if one.interval is None or not isinstance(kind, Share):
        return f"{longer}. {equal}"
    share, worth, times = one.tally.share or 0.0, one.tally.total / one.effect, 1.0
    while times <= _MANY:
        times *= _STEP
        answer = decide(share * worth * times, worth * times, one.bound, confidence=one.interval.confidence)
        if answer is not Answer.UNDECIDED:
            return (
                f"{longer}: if the share stays as it was, some {ceil(times)} times as many events decide that it "
                f"{'holds' if answer is Answer.HOLDS else 'is violated'}. Or change the bound{field}"
            )
    return (
        f"change the bound{field}: the share is so close to it that even {_MANY} times as many events would not decide"
    )


def _hangs(one: ExpectationResult, requests: int) -> Reason:
    return Reason(
        code=ReasonCode.REQUESTS_HANG,
        message=f"{one.when}, {requests} requests of the load were still without an answer, and had waited for longer than any answer "
        f"took. If they fail, {one.title!r} may be violated: {one.told}",
        hint="give the callers of the target a time-out, or set load.timeout so that it is shorter than the phase",
    )
