"""Broken shops and their healthy twins that the templates of the library tell apart: a file that uses one is all that it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.support.defects.experiment import LATE, VIOLATED
from tests.support.defects.variants import ENDLESS, Defect, Variant, shop

WHOSE: Final = {"service": "inventory-svc", "caller": "order-svc", "path": "/orders/42"}
USERS: Final = {"service": "inventory-svc", "path": "/orders/42"}
"""Without a caller: what users get is looked at."""
GATEWAY: Final = {"service": "order-svc", "behind": "inventory-svc", "path": "/orders/42"}


def using(template: str, given: Mapping[str, str] = WHOSE, **more: Any) -> dict[str, str]:
    """What is declared: a file that uses a template."""
    parameters = json.dumps({**given, **more}).replace("{", "{{").replace("}", "}}")
    return {"file": f"experiment: orders\nprofile: {{profile}}\nuses: {template}\nwith: {parameters}\n"}


WHOLE: Final = {"jsonPath": {"order.id": "42"}}
DEGRADED: Final = {"jsonPath": {"degraded": True}}
LIBRARY: Final[Mapping[str, Defect[Variant]]] = {
    "dependency-down: hard dependency": Defect(VIOLATED, shop(bears=0.0), shop(), using("dependency-down")),
    "dependency-down: hard dependency, as users see it": Defect(
        VIOLATED, shop(bears=0.0), shop(), using("dependency-down", USERS)
    ),
    "dependency-down: hard dependency, gRPC": Defect(
        VIOLATED, shop(bears=0.0, grpc=True), shop(grpc=True), using("dependency-down", protocol="grpc")
    ),
    "dependency-down: fallback that throws for a fifth": Defect(
        VIOLATED, shop(bears=0.8), shop(), using("dependency-down")
    ),
    "dependency-down: unbounded retries": Defect(
        VIOLATED, shop(tries=12), shop(tries=4), using("dependency-down"), names="no retry storm"
    ),
    "dependency-down: unbounded retries, as users cause them": Defect(
        VIOLATED, shop(tries=12), shop(tries=3), using("dependency-down", USERS), names="no retry storm"
    ),
    "dependency-down: unbounded retries of two calls": Defect(
        VIOLATED, shop(asks=2.0, tries=12), shop(asks=2.0, tries=3), using("dependency-down", callsPerRequest=2)
    ),
    "dependency-down: error as 200": Defect(
        VIOLATED, shop(bears=0.5, fails_as=200), shop(), using("dependency-down", answer=WHOLE), names="right content"
    ),
    "dependency-down: fallback that never shows": Defect(
        VIOLATED, shop(degrades=0.0), shop(), using("dependency-down", fallback=DEGRADED), names="degraded"
    ),
    "partly-failing: fallback that never shows": Defect(
        VIOLATED, shop(degrades=0.0), shop(), using("partly-failing", fallback=DEGRADED), names="degraded"
    ),
    "dependency-down: fallback that is cached for ever": Defect(
        LATE, shop(sticks=ENDLESS), shop(sticks=5.0), using("dependency-down", fallback=DEGRADED), names="degraded"
    ),
    "dependency-down: late recovery": Defect(
        LATE, shop(bears=0.0, heals=ENDLESS), shop(bears=0.995, heals=5.0), using("dependency-down", duringFault="5%"),
        or_else=[VIOLATED],
    ),
    "dependency-slow: no time-out": Defect(VIOLATED, shop(), shop(time_out=0.5), using("dependency-slow")),
    "dependency-slow: no time-out, as users see it": Defect(
        VIOLATED, shop(), shop(time_out=0.5), using("dependency-slow", USERS)
    ),
    "dependency-slow: no time-out, gRPC": Defect(
        VIOLATED, shop(grpc=True), shop(grpc=True, time_out=0.5), using("dependency-slow")
    ),
    "slower-than-its-time-out: it does not act": Defect(
        VIOLATED, shop(), shop(time_out=1.0), using("slower-than-its-time-out", timeOut="1s")
    ),
    "slower-than-its-time-out: it is longer than declared": Defect(
        VIOLATED, shop(time_out=3.0), shop(time_out=1.0), using("slower-than-its-time-out", timeOut="1s")
    ),
    "slower-than-its-time-out: none at the gateway": Defect(
        VIOLATED, shop(), shop(patience=1000.0), using("slower-than-its-time-out", GATEWAY, timeOut="1s")
    ),
    "hanging: no time-out": Defect(VIOLATED, shop(), shop(time_out=0.5), using("hanging")),
    "hanging: no time-out, as users see it": Defect(VIOLATED, shop(), shop(time_out=0.5), using("hanging", USERS)),
    "partly-failing: errors are passed on": Defect(VIOLATED, shop(bears=0.0), shop(tries=2), using("partly-failing")),
    "partly-failing: errors are passed on, gRPC": Defect(
        VIOLATED, shop(bears=0.9, grpc=True), shop(tries=2, grpc=True), using("partly-failing", protocol="grpc")
    ),
    "rate-limited: 429 is passed on": Defect(
        VIOLATED, shop(bears=0.0, fails_as=429), shop(tries=2), using("rate-limited")
    ),
    "rate-limited: endless retries": Defect(
        VIOLATED, shop(tries=30), shop(tries=3), using("rate-limited"), names="no retry storm"
    ),
    "rate-limited: endless retries, gRPC": Defect(
        VIOLATED, shop(tries=30, grpc=True), shop(tries=3, grpc=True), using("rate-limited", protocol="grpc")
    ),
    "flapping: hard dependency": Defect(VIOLATED, shop(bears=0.0), shop(), using("flapping", lasts="5s", times=2)),
    "flapping: it does not get over an outage": Defect(
        VIOLATED, shop(heals=8.0), shop(heals=0.0), using("flapping", lasts="20s")
    ),
}  # fmt: skip
