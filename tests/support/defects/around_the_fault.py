"""What goes wrong in the seconds in which a fault comes to the proxies or leaves them, or between two scrapes after that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaos.model.verdict import ReasonCode
from tests.support.defects.experiment import FOR_A_WHILE, IN_TIME, LATE, VIOLATED, expecting
from tests.support.defects.variants import Defect, Moment, Variant, changes, usual

UNSURE, UNKNOWN = ReasonCode.UNDECIDED_DURING_FAULT, ReasonCode.UNDECIDED_RECOVERY
"""Of what is bad for so short a time that it says little of the rest; and of what may have recovered in time, or not, between two scrapes."""
_SURER: Final = (VIOLATED, ReasonCode.BURSTY)
_LATER: Final = (LATE, ReasonCode.BURSTY)


def leaving(seconds: float = 20.0, *, scrape_interval: int = 1, **changed: Any) -> Variant:
    """What changes while a slow control plane takes the fault out of the proxies, and back when they have lost it."""
    back = changes("restore", (0, changed), (seconds, usual(changed)))
    return Variant({"scrape_interval": scrape_interval}, back, distribution=seconds)


def arriving(**changed: Any) -> Variant:
    """What changes while a slow control plane brings the fault to the proxies, and back when they have it."""
    return Variant({}, changes("fault", (0, changed), (12, usual(changed))), arrival=12.0)


def rarely_seen(since: Moment, seconds: float) -> Variant:
    """Bad for some seconds, with scrapes every 15 s."""
    return Variant({"scrape_interval": 15}, changes(since, (0, {"broken": 1.0}), (seconds, {"broken": 0.0})))


AROUND: Final[Mapping[str, Defect[Variant]]] = {
    "bad until the proxies lose the fault": Defect(UNSURE, leaving(broken=1.0), leaving(broken=0.01), FOR_A_WHILE, or_else=_SURER),
    "bad until the proxies lose the fault, and seen every 15 s": Defect(
        VIOLATED, leaving(broken=1.0, scrape_interval=15), leaving(broken=0.01, scrape_interval=15), FOR_A_WHILE,
        or_else=[UNSURE, ReasonCode.BURSTY],
    ),
    "bad for 14 s until the proxies lose the fault, and seen every 15 s": Defect(
        UNSURE, leaving(14.0, broken=1.0, scrape_interval=15), leaving(14.0, broken=0.01, scrape_interval=15), FOR_A_WHILE, or_else=_SURER
    ),
    "slow until the proxies lose the fault": Defect(
        UNSURE, leaving(takes=1500.0), leaving(takes=300.0), expecting(IN_TIME) | FOR_A_WHILE, or_else=_SURER
    ),
    "calls that are left out until the proxies lose the fault": Defect(
        UNSURE, leaving(skipped=0.8), leaving(skipped=0.02), expecting("throughput: catalog-svc, atLeast: 90%, duringFault: 90%") | FOR_A_WHILE, or_else=_SURER
    ),
    "storm of attempts until the proxies lose the fault": Defect(
        UNSURE, leaving(asks=8.0), leaving(asks=2.0), expecting("attempts: inventory-svc, per: order-svc, atMost: 1.5, duringFault: 3") | FOR_A_WHILE,
        or_else=_SURER,
    ),
    "bad until the proxies have the fault": Defect(
        UNSURE, arriving(broken=1.0), arriving(broken=0.01), FOR_A_WHILE, or_else=_SURER
    ),
    "bad in the first seconds of a fault, and seen every 15 s": Defect(
        UNSURE, rarely_seen("fault", 14), rarely_seen("fault", 0.2), FOR_A_WHILE, or_else=_SURER
    ),
    "recovery between two scrapes after the deadline": Defect(
        UNKNOWN, rarely_seen("restore", 28), rarely_seen("restore", 4), FOR_A_WHILE, or_else=_LATER
    ),
    "outage that begins when the fault is gone, and is seen every 15 s": Defect(
        UNKNOWN, rarely_seen("restore", 45), rarely_seen("restore", 12), {"within": "30s"} | FOR_A_WHILE, or_else=_LATER
    ),
}  # fmt: skip
