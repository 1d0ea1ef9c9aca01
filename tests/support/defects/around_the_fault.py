"""What goes wrong in the seconds in which a fault comes to the proxies or leaves them, or between two scrapes after that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.model.verdict import ReasonCode
from tests.support.defects.experiment import FOR_A_WHILE, IN_TIME, LATE, VIOLATED, expecting
from tests.support.defects.variants import Defect, Moment, Variant, changes

_UNSURE: Final = (ReasonCode.UNDECIDED_DURING_FAULT, ReasonCode.BURSTY)
"""Reasons of what is as bad in so short a time that the rest of the fault outweighs it."""
_LATER: Final = (ReasonCode.UNDECIDED_RECOVERY, ReasonCode.BURSTY)
"""Reasons of what may have recovered in time, or not, between two scrapes."""


def leaving(broken: float, *, within: float = 20.0, **shop: float) -> Variant:
    """Bad while a slow control plane takes the fault out of the proxies."""
    return Variant(shop, changes("restore", (0, {"broken": broken}), (within, {"broken": 0.0})), distribution=within)


def arriving(broken: float) -> Variant:
    """Bad while a slow control plane brings the fault to the proxies."""
    return Variant({}, changes("fault", (0, {"broken": broken}), (12, {"broken": 0.0})), arrival=12.0)


def slow(milliseconds: float) -> Variant:
    """Slow while a slow control plane takes the fault out of the proxies."""
    return Variant({}, changes("restore", (0, {"takes": milliseconds}), (20, {"takes": 20.0})), distribution=20.0)


def rarely_seen(since: Moment, seconds: float) -> Variant:
    """Bad for some seconds, with scrapes every 15 s."""
    return Variant({"scrape_interval": 15}, changes(since, (0, {"broken": 1.0}), (seconds, {"broken": 0.0})))


AROUND: Final[Mapping[str, Defect[Variant]]] = {
    "bad until the proxies lose the fault": Defect(VIOLATED, leaving(1.0), leaving(0.01), FOR_A_WHILE, or_else=_UNSURE),
    "bad until the proxies lose the fault, and seen every 15 s": Defect(
        VIOLATED, leaving(1.0, scrape_interval=15), leaving(0.01, scrape_interval=15), FOR_A_WHILE, or_else=_UNSURE
    ),
    "bad for 14 s until the proxies lose the fault, and seen every 15 s": Defect(
        VIOLATED, leaving(1.0, within=14.0, scrape_interval=15), leaving(0.01, within=14.0, scrape_interval=15), FOR_A_WHILE, or_else=_UNSURE
    ),
    "slow until the proxies lose the fault": Defect(
        VIOLATED, slow(1500.0), slow(300.0), expecting(IN_TIME) | FOR_A_WHILE, or_else=_UNSURE
    ),
    "bad until the proxies have the fault": Defect(
        ReasonCode.UNDECIDED_DURING_FAULT, arriving(1.0), arriving(0.01), FOR_A_WHILE, or_else=_UNSURE
    ),
    "bad in the first seconds of a fault, and seen every 15 s": Defect(
        ReasonCode.UNDECIDED_DURING_FAULT, rarely_seen("fault", 14), rarely_seen("fault", 0.2), FOR_A_WHILE, or_else=[VIOLATED, *_UNSURE]
    ),
    "recovery between two scrapes after the deadline": Defect(
        LATE, rarely_seen("restore", 28), rarely_seen("restore", 4), FOR_A_WHILE, or_else=_LATER
    ),
    "outage that begins when the fault is gone, and is seen every 15 s": Defect(
        LATE, rarely_seen("restore", 45), rarely_seen("restore", 12), {"within": "30s"} | FOR_A_WHILE, or_else=_LATER
    ),
}  # fmt: skip
