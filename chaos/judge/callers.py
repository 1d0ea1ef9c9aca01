"""Who calls the targets under this load, and can they be hit at all?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.expectations.evidence import Window
from chaos.expectations.scene import INJECT_SIDECAR
from chaos.istio.metrics import caller_of
from chaos.judge.facts import Facts
from chaos.judge.load import statuses
from chaos.judge.proof import counted, is_declared, is_faulted
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.questions import Question


def calls(facts: Facts, question: Question) -> dict[str, int]:
    """Requests since the load began, up to the baseline's end, by ``namespace/workload`` of their caller."""
    start = facts.marks.get(Mark.LOAD_STARTED)
    if start is None:
        return {}
    found: dict[str, int] = {}
    window = Window(start, facts.marks.get(Mark.BASELINE_UNTIL, float("inf")))
    for one, rise in facts.evidence.counted(question, window):
        if rise.events:
            found[caller_of(one.labels)] = found.get(caller_of(one.labels), 0) + rise.events
    return found


def newcomers(facts: Facts, now: float) -> Iterator[tuple[Injection, str]]:
    """Callers that felt a target's fault and are not known, in a namespace where labels say who was declared."""
    begun = facts.marks.get(Mark.INJECT_SENT)
    for one in facts.plan.injections if begun is not None else ():
        if one.target.callers:
            seen = counted(facts, one, begun or now, now)
            felt = {caller_of(series.labels) for series, events in seen if events and is_faulted(series, one)}
            home = f"{one.target.namespace}/"
            yield from ((one, name) for name in sorted(felt) if name.startswith(home) and not is_declared(one, name))


def judge_callers(facts: Facts) -> Reason | None:
    """Why nobody could feel a fault; ``None`` where the baseline saw a declared caller of each target."""
    return next((why for one in facts.plan.injections if (why := _nobody(facts, one)) is not None), None)


def _nobody(facts: Facts, injection: Injection) -> Reason | None:
    seen = calls(facts, injection.requests)
    if any(is_declared(injection, caller) for caller in seen):
        return None
    got = f"; the load got {told}" if (told := statuses(facts)) else ""
    arrived = calls(facts, injection.arrivals)
    bare = sum(n for caller, n in arrived.items() if caller.endswith("/unknown"))
    wanted = (
        ", ".join(f"{one.namespace}/{one.workload}" for one in injection.callers) or "any workload of the namespace"
    )
    if bare:
        return Reason(
            code=ReasonCode.CALLERS_WITHOUT_PROXY,
            message=f"{bare} requests arrived at {injection.host} from callers without a sidecar, which the fault can't hit, and none from "
            f"{wanted}, which either has no sidecar or did not call{got}",
            hint=f"for callers without a sidecar, {INJECT_SIDECAR}. If {wanted} has one, send requests that make it call the target",
        )
    if not seen and not arrived:
        return Reason(
            code=ReasonCode.NO_CALLERS,
            message=f"nobody called {injection.host} before the fault; {wanted} should have{got}",
            hint=f"send requests that make {wanted} call the target, and check that no cache answers them first",
        )
    others = ", ".join(sorted(seen))
    return Reason(
        code=ReasonCode.NO_CALLERS,
        message=f"{wanted} did not call {injection.host} before the fault"
        + (f"; only {others} did" if others else "")
        + got,
        hint="send requests that make these workloads call the target, or correct target.callers",
    )
