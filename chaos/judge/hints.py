"""What to do about a trouble for which whoever found it had no better advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.model.events import Trouble, TroubleKind

_HINTS: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.METRICS_LOST: "check that Prometheus runs and can be reached from here all along, then run again",
    TroubleKind.LOAD_DIED: "check the memory of this machine, and that a locustfile runs by itself (locust -f … --headless), then run again",
    TroubleKind.MESH_LOST: "check that the API server can be reached from here all along (kubectl get namespaces), then run again",
    TroubleKind.TARGET_CHANGED: "find out who changed the target's VirtualServices or namespace (metadata.managedFields names the writer, such as a GitOps agent), and run again while nobody does that",
    TroubleKind.NOT_DISTRIBUTED: "check that istiod runs, and that the proxies accept its configuration (istioctl proxy-status)",
    TroubleKind.INTERRUPTED: "run again. If a time limit of CI stopped it, raise that: a run takes at most limits.baseline (twice) + limits.fault + limits.removal + recovery.within + recovery.stayGood + 60 s",
    TroubleKind.FROZEN: "ask who froze it, and run again once it is thawed (chaosctl thaw)",
    TroubleKind.BROKEN: "this is a defect of the harness, not of your system: report it with the run's record",
}


def hint_for(trouble: Trouble) -> str | None:
    """Its own hint, or the one for its kind."""
    return trouble.hint or _HINTS.get(trouble.kind)


BROKEN_HINT: Final = _HINTS[TroubleKind.BROKEN]
NOT_DISTRIBUTED_HINT: Final = _HINTS[TroubleKind.NOT_DISTRIBUTED]
