"""Hints for troubles that were recorded without a hint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from chaos.judge.beforehand import longest
from chaos.model.events import Trouble, TroubleKind
from chaos.model.experiment import Experiment
from chaos.model.verdict import Reason, ReasonCode
from chaos.values.quantities import format_duration

_HINTS: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.METRICS_LOST: "check that Prometheus runs and can be reached from here all along, then run again",
    TroubleKind.LOAD_DIED: "see what it said, in load.log in the folder of the record; check the memory of this machine, and that a locustfile runs by itself (locust -f … --headless). Then run again",
    TroubleKind.MESH_LOST: "check that the API server can be reached from here all along (kubectl get namespaces), then run again",
    TroubleKind.TARGET_CHANGED: "find out who changed the target's VirtualServices, its namespace or the run's lease, such as a GitOps agent or another run, and run again while nobody does that",
    TroubleKind.NOT_DISTRIBUTED: "check that istiod runs, and that the proxies accept its configuration (istioctl proxy-status)",
    TroubleKind.INTERRUPTED: "run again. If a time limit of CI stopped it, raise that: by its limits and recovery, a run of this experiment may take {longest}",
    TroubleKind.FROZEN: "ask who froze it, and run again once it is thawed (chaosctl thaw)",
    TroubleKind.BROKEN: "this is a defect of the harness, not of your system: report it with the run's record",
}

_METRICS: Final = (ReasonCode.METRICS_LOST, ReasonCode.CALLER_NOT_SCRAPED)
_NOTHING_COUNTED: Final = (ReasonCode.FAULT_NOT_SEEN, ReasonCode.NO_TRAFFIC)
_LOST: Final = "the metrics of that time are missing, so what was not counted may have been there all the same: do what {code} says, and run again"


def hint_for(trouble: Trouble, experiment: Experiment) -> str | None:
    """Its own hint, or the one for its kind."""
    hint = _HINTS.get(trouble.kind, "").replace("{longest}", format_duration(longest(experiment)))
    return trouble.hint or hint or None


def without_metrics(reasons: Iterable[Reason]) -> Iterator[Reason]:
    """Reasons as they are, but for those that nothing was counted, where the metrics were lost: they blame no route and no name."""
    found = list(reasons)
    lost = next((one.code for one in found if one.code in _METRICS), None)
    for one in found:
        unseen = lost is not None and one.code in _NOTHING_COUNTED
        yield one.model_copy(update={"hint": _LOST.format(code=lost)}) if unseen else one


BROKEN_HINT: Final = _HINTS[TroubleKind.BROKEN]
NOT_DISTRIBUTED_HINT: Final = _HINTS[TroubleKind.NOT_DISTRIBUTED]
