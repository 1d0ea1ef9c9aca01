"""Who calls the target under this load, and can they be hit at all?"""

from __future__ import annotations

from chaos.expectations.counting import Scrapes, count
from chaos.judge.evidence import arrivals_key, requests_key
from chaos.judge.proof import caller_of, is_declared
from chaos.model.history import History, Mark
from chaos.model.verdict import Reason, ReasonCode


def calls(history: History, key: str) -> dict[str, int]:
    """Requests since the load began, up to the baseline's end, by ``namespace/workload`` of their caller."""
    recorded = history.find(key)
    start = history.marks.get(Mark.LOAD_STARTED)
    if recorded is None or start is None:
        return {}
    end = history.marks.get(Mark.BASELINE_UNTIL, float("inf"))
    scrapes = Scrapes((recorded,))
    found: dict[str, int] = {}
    for series in recorded.series:
        counted = count(series, start, end, scrapes=scrapes, interval=history.environment.scrape_interval)
        if counted.events:
            found[caller_of(series)] = found.get(caller_of(series), 0) + counted.events
    return found


def judge_callers(history: History) -> Reason | None:
    """Why nobody could feel the fault; ``None`` where the baseline saw a declared caller."""
    plan = history.plan
    seen = calls(history, requests_key(plan.host))
    if any(is_declared(history, caller) for caller in seen):
        return None
    arrived = calls(history, arrivals_key(plan.host))
    bare = sum(n for caller, n in arrived.items() if caller.endswith("/unknown"))
    wanted = ", ".join(f"{one.namespace}/{one.workload}" for one in plan.callers) or "any workload of the namespace"
    if bare:
        return Reason(
            code=ReasonCode.CALLERS_WITHOUT_PROXY,
            message=f"{bare} requests arrived at {plan.host} from callers without a proxy, which feel no fault, and none "
            f"from {wanted}",
            hint="inject the sidecar into the calling pods (label istio-injection=enabled, then restart them)",
        )
    if not seen and not arrived:
        return Reason(
            code=ReasonCode.NO_CALLERS,
            message=f"during the baseline nobody called {plan.host}, and {wanted} should have",
            hint="send load that reaches the target",
        )
    others = ", ".join(sorted(seen))
    return Reason(
        code=ReasonCode.NO_CALLERS,
        message=f"during the baseline {wanted} did not call {plan.host}" + (f"; only {others} did" if others else ""),
        hint="send load that reaches the target, or correct target.callers",
    )
