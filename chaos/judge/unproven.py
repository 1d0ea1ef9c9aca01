"""Why the faults are not proven: too few or too many requests were hit, or others than declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from chaos.model.plan import Injection
from chaos.model.verdict import Proof, Reason, ReasonCode, ShareProof, TargetProof

_TOO_MANY: Final = (
    "probably another fault hits the same requests: look for it by `chaosctl status` and `kubectl get virtualservices -A -o yaml` "
    "(`fault:`), end it, and run again"
)
_TOO_FEW: Final = (
    "probably some calls follow another VirtualService, or go through a proxy that does not have the fault: compare the hosts and "
    "ports that the callers use with those of `chaosctl plan`"
)


def outside(proof: Proof) -> Iterator[Reason]:
    """Callers that were hit and not declared."""
    for one in proof.targets:
        for caller, faults in one.outside.items():
            yield Reason(
                code=ReasonCode.FAULT_OUTSIDE_SCOPE,
                message=f"{caller} is no declared caller, and {faults} of the faults that this run injected for {one.target} hit it",
                hint=f"if the fault may hit {caller}, add it to target.callers. If not, narrow the target (target.match, target.onlyOurLoad): "
                "`chaosctl plan` shows which callers the VirtualService governs",
            )


def unproven(injection: Injection, proof: TargetProof) -> Iterator[Reason]:
    """What is wrong with the shares that were counted at a target."""
    for share in proof.shares:
        if share.proven:
            continue
        told = f"{proof.target}: {share}"
        if share.kind == "off" and share.tally.good:
            yield Reason(
                code=ReasonCode.FAULT_SHARE_OFF,
                message=f"requests were hit in a stage that has no fault: {told}",
                hint="find out whether another fault is active on the target (chaosctl status), end it, and run again",
            )
        elif share.tally.good == 0 and injection.target.only_our_load and share.tally.total:
            callers = ", ".join(f"{one.namespace}/{one.workload}" for one in injection.callers) or "the callers"
            yield Reason(
                code=ReasonCode.HEADER_NOT_FORWARDED,
                message=f"the fault hits only requests with this run's header x-chaos-run, and none of the {share.tally.total} requests that "
                f"{callers} sent to {proof.target} was hit",
                hint=f"make {callers}, and every application before it on the way, forward the header x-chaos-run of the requests that it gets",
            )
        elif (share.tally.good or (proof.by_caller and not share.tally.total)) and not share.off:
            yield Reason(
                code=ReasonCode.TOO_FEW_FAULTED,
                message=f"too few requests were hit to tell whether the percentage is the declared one: {told}; {share.needed} must be hit",
                hint=f"raise {'the time of the stage (for)' if share.stage else 'limits.fault'} or load.rate, or send load that calls the target more often",
            )
        elif share.tally.good == 0:
            yield Reason(
                code=ReasonCode.FAULT_NOT_SEEN,
                message=f"no injected fault was counted: {told}",
                hint=_uncounted(share),
            )
        else:
            yield Reason(
                code=ReasonCode.FAULT_SHARE_OFF,
                message=f"the fault hit another percentage of requests than declared: {told}",
                hint=_TOO_MANY if share.interval.low > share.declared else _TOO_FEW,
            )
    if not proof.shares:
        yield Reason(
            code=ReasonCode.FAULT_NOT_SEEN,
            message=f"{proof.target}: no request was counted while the fault was active",
            hint="check that the load goes on calling the target, and that Prometheus scrapes its callers' proxies",
        )


def _uncounted(share: ShareProof) -> str:
    """What helps where no fault was counted."""
    if share.tally.total:
        return (
            "probably the callers' requests follow a route without the fault: compare the hosts, ports and paths that they use with "
            "those of `chaosctl plan`"
        )
    if share.stage:
        return "let the stage last for several scrape intervals and longer than a delay, and raise limits.fault if it never began"
    return "check that the declared callers go on calling the target under this load, and raise limits.fault if a delay is that long"


def of_another_cause(sentences: Iterable[str]) -> Reason:
    """What was violated says nothing about a fault that hit no request."""
    return Reason(
        code=ReasonCode.FAULT_NOT_SEEN,
        message=f"no injected fault was counted, so the fault is not known to be the cause of this: {'; '.join(sentences)}",
        hint="look for another cause: events of the pods, a circuit breaker that had opened before, another fault (`chaosctl status`), "
        "too little CPU; and see by `chaosctl plan` whether the callers' requests follow a route with the fault",
    )
