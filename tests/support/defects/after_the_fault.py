"""What does not come back with the fault's end, or comes back too late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaos.model.verdict import ReasonCode
from chaos.testing.traffic import Times
from tests.support.defects.experiment import (
    ALERT,
    ANSWERED,
    BREAKER,
    DEGRADED,
    EJECTION,
    FOR_A_WHILE,
    IN_TIME,
    LATE,
    MOST,
    WHOLE,
    expecting,
)
from tests.support.defects.variants import ENDLESS, Defect, Variant, afterwards, changes, shop, then

AFTER: Final[Mapping[str, Defect[Variant]]] = {
    "recovery after three times the deadline": Defect(LATE, shop(heals=60.0), shop(heals=10.0)),
    "recovery somewhat later than the deadline": Defect(
        LATE, afterwards(25, broken=1.0), afterwards(18, broken=1.0), FOR_A_WHILE
    ),
    "relapse after 12 s, for ever": Defect(LATE, then("restore", (12, {"broken": 0.6})), shop(), {"within": "10s"} | FOR_A_WHILE),
    "relapse after 12 s, for 12 s": Defect(
        LATE, then("restore", (12, {"broken": 0.6}), (24, {"broken": 0.0})), shop(), {"within": "10s"} | FOR_A_WHILE,
        or_else=[ReasonCode.BURSTY, ReasonCode.UNDECIDED_RECOVERY], names="for a time that ended 2",
    ),
    "never well again": Defect(LATE, afterwards(ENDLESS, broken=0.3), afterwards(6, broken=0.3)),
    "slow for ever after the fault": Defect(LATE, afterwards(ENDLESS, takes=1500.0), afterwards(4, takes=1500.0), expecting(IN_TIME)),
    "stuck pool": Defect(LATE, afterwards(ENDLESS, status=0, takes=9000.0), afterwards(6, status=0, takes=9000.0)),
    "pool that does not refill": Defect(
        LATE, shop(unfilled=0.4), shop(), expecting("throughput: catalog-svc, atLeast: 90%")
    ),
    "alert that does not resolve": Defect(
        LATE, shop(alerts={"OrdersDegraded": Times(2, ENDLESS)}), shop(), expecting(ALERT)
    ),
    "fallback that is cached for ever": Defect(LATE, shop(sticks=ENDLESS), shop(sticks=5.0), expecting(DEGRADED)),
    "breaker that never closes": Defect(LATE, shop(breaker=Times(3, ENDLESS)), shop(breaker=Times(3, 5)), expecting(BREAKER)),
    "replica that stays ejected": Defect(
        LATE, shop(replicas=3, spoilt=0.6, ejected=Times(5, ENDLESS)), shop(replicas=3, spoilt=0.6, ejected=Times(5, 10)),
        expecting(EJECTION),
    ),
    "a tenth of errors ever after": Defect(
        LATE, afterwards(ENDLESS, broken=0.1), afterwards(ENDLESS, broken=0.02), FOR_A_WHILE
    ),
    "leak that grows slowly": Defect(
        LATE, then("restore", *((at, {"broken": at * 0.004}) for at in range(5, 200, 5))), shop(), FOR_A_WHILE
    ),
    "good and bad by turns": Defect(
        LATE, then("restore", *((2 * at, {"broken": 0.6 * (at % 2)}) for at in range(100))), shop(), FOR_A_WHILE
    ),
    "relapse after 25 s, for ever": Defect(
        LATE, then("restore", (25, {"broken": 0.6})), shop(), {"within": "10s"} | FOR_A_WHILE
    ),
    "latency that comes back slowly": Defect(
        LATE, then("restore", *((at, {"takes": 100.0 + at * 40}) for at in range(0, 100, 2))), afterwards(6, takes=1500.0),
        expecting(IN_TIME) | FOR_A_WHILE,
    ),
    "cache that was poisoned": Defect(
        LATE, Variant({"sticks": ENDLESS}, changes("restore", (0, {"mixes": 1.0}))), shop(sticks=ENDLESS), expecting(WHOLE)
    ),
    "retries that go on": Defect(
        LATE, afterwards(ENDLESS, asks=3.0), afterwards(6, asks=3.0),
        expecting("attempts: inventory-svc, per: order-svc, atMost: 1.5, duringFault: 3") | FOR_A_WHILE,
    ),
    "pool that refills too late": Defect(
        LATE, Variant({"unfilled": 0.4}, changes("restore", (60, {"unfilled": 0.0}))),
        Variant({"unfilled": 0.4}, changes("restore", (8, {"unfilled": 0.0}))),
        expecting("throughput: catalog-svc, atLeast: 90%") | FOR_A_WHILE,
    ),
    "breaker that is half open for ever": Defect(
        LATE, shop(breaker=Times(3, ENDLESS, of_every=(1, 4))), shop(breaker=Times(3, 5)), expecting(BREAKER) | FOR_A_WHILE
    ),
    "ejection again and again": Defect(
        LATE, shop(replicas=3, spoilt=0.6, ejected=Times(3, ENDLESS, of_every=(8, 16))),
        shop(replicas=3, spoilt=0.6, ejected=Times(3, 6, of_every=(3, 6))), expecting(EJECTION) | FOR_A_WHILE,
    ),
    "alert that fires again and again": Defect(
        LATE, shop(alerts={"OrdersDegraded": Times(2, ENDLESS, of_every=(3, 10))}), shop(), expecting(ALERT) | FOR_A_WHILE
    ),
    "service that is asked no more": Defect(
        LATE, shop(skipped=1.0, unfilled=1.0), shop(skipped=1.0), expecting("throughput: catalog-svc, atLeast: 90%")
    ),
    "fault that stays in the proxies": Defect(ReasonCode.STILL_FAULTED, Variant(distribution=45.0), Variant(distribution=10.0)),
    "replica that stays bad": Defect(
        LATE, shop(replicas=3, spoilt=0.3, lingers=ENDLESS), shop(replicas=3, spoilt=0.3, lingers=5.0),
        expecting(ANSWERED + "85%, duringFault: 55%, per: replica"), names="order-svc-1-c",
    ),
    "cascade that stays": Defect(
        LATE, Variant({"lingers": ENDLESS}, changes("restore", (0, {"spreads": 0.3}))),
        Variant({"lingers": 5.0}, changes("restore", (0, {"spreads": 0.3}))),
        expecting("unaffected: [catalog-svc, platform/session-svc]"), names="session-svc",
    ),
    "every answer degraded ever after": Defect(
        LATE, afterwards(ENDLESS, degraded=1.0), afterwards(6, degraded=1.0), expecting(DEGRADED)
    ),
    "login page for everybody": Defect(
        ReasonCode.NO_SUCCESS, afterwards(ENDLESS, status=302), afterwards(5, status=302), names="302 for"
    ),
    "daily limit that is used up": Defect(
        LATE, afterwards(ENDLESS, status=429), afterwards(6, status=429), expecting("from: client, good: {status: 2xx}, atLeast: 95%")
    ),
    "herd when the dependency is back": Defect(
        LATE, afterwards(60, asks=8.0), afterwards(5, asks=8.0),
        expecting("attempts: inventory-svc, atMost: 1.5, duringFault: 3"),
    ),
    "breaker of the application that stays open": Defect(
        LATE, then("fault", (4, {"asks": 0.0})), Variant(later=[*changes("fault", (4, {"asks": 0.0})), *changes("restore", (5, {"asks": 1.0}))]),
        expecting("throughput: inventory-svc, atLeast: 90%"),
    ),
    "recovery in steps": Defect(
        LATE, then("restore", (0, {"broken": 0.8}), (6, {"broken": 0.5}), (12, {"broken": 0.3}), (28, {"broken": 0.0})),
        then("restore", (0, {"broken": 0.8}), (6, {"broken": 0.5}), (12, {"broken": 0.0})), FOR_A_WHILE,
    ),
    "connections that are reset ever after": Defect(LATE, shop(fails_as=0, heals=60.0), shop(fails_as=0, heals=6.0)),
    "slow at the tail ever after": Defect(
        LATE, afterwards(ENDLESS, tail=(0.12, 3000.0)), afterwards(6, tail=(0.12, 3000.0)), expecting(IN_TIME) | FOR_A_WHILE
    ),
    "requests that hang ever after": Defect(
        ReasonCode.REQUESTS_HANG, Variant({"lingers": ENDLESS}, changes("restore", (0, {"stuck": 0.3}))),
        Variant({"lingers": 4.0}, changes("restore", (0, {"stuck": 0.3}))),
        expecting("from: client, good: {status: 2xx}, atLeast: 95%") | FOR_A_WHILE,
    ),
    "breaker that stays open between stages": Defect(
        LATE, shop(breaker=Times(3, 60)), shop(breaker=Times(3, 5)),
        expecting(BREAKER, fault=f"{MOST}, stages: [{{for: 12s}}, {{for: 12s, off: true}}], repeat: 2") | FOR_A_WHILE,
    ),
    "late, and seen every 15 s": Defect(
        LATE, Variant({"scrape_interval": 15}, changes("restore", (0, {"broken": 1.0}), (200, {"broken": 0.0}))),
        Variant({"scrape_interval": 15}, changes("restore", (0, {"broken": 1.0}), (40, {"broken": 0.0}))), {"within": "120s"} | FOR_A_WHILE,
    ),
}  # fmt: skip
