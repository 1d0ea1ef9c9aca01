"""Who calls the targets under this load, and can they be hit at all?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.expectations.evidence import Window
from chaos.expectations.scene import INJECT_SIDECAR
from chaos.judge.facts import Facts
from chaos.judge.load import statuses
from chaos.judge.proof import felt, is_declared, sent
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import Reason, ReasonCode


def newcomers(facts: Facts, now: float) -> Iterator[tuple[Injection, str]]:
    """Callers that felt a target's fault and are not known, in a namespace where labels say who was declared."""
    if Mark.INJECT_SENT not in facts.marks:
        return
    for one in facts.plan.injections:
        if one.target.callers:
            who = sorted(felt(facts, one, Window(facts.marks[Mark.INJECT_SENT], now)))
            home = f"{one.target.namespace}/"
            yield from ((one, name) for name in who if name.startswith(home) and not is_declared(one, name))


def judge_callers(facts: Facts) -> Reason | None:
    """Why nobody could feel a fault; ``None`` where the baseline saw a declared caller of each target."""
    return next((why for one in facts.plan.injections if (why := _nobody(facts, one)) is not None), None)


def _nobody(facts: Facts, injection: Injection) -> Reason | None:
    never = float("inf")
    baseline = Window(facts.marks.get(Mark.LOAD_STARTED, never), facts.marks.get(Mark.BASELINE_UNTIL, never))
    seen = sent(facts, injection.requests, baseline)
    if any(is_declared(injection, caller) for caller in seen):
        return None
    got = f"; the load got {told}" if (told := statuses(facts)) else ""
    arrived = sent(facts, injection.arrivals, baseline)
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
