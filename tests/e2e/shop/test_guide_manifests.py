"""Manifests as an operations guide has them, applied with kubectl, measured at the callers.

The names are the shop's. Counts are held against their binomial spread: five standard deviations, about one false alarm in
a million.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos.lab.state import LabState
from tests.e2e.callers import agrees, ask, kubectl, sidecar
from tests.support import loopback
from tests.support.kubectl import needs_kubectl
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, needs_kubectl]

FAULT_INJECTION = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: inventory-svc
  namespace: staging
spec:
  hosts:
  - inventory-svc
  http:
  - fault:
      abort:
        percentage:
          value: 50.0
        httpStatus: 503
      delay:
        percentage:
          value: 30.0
        fixedDelay: 3s
    route:
    - destination:
        host: inventory-svc
        subset: v1
"""
CANARY = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: recommendation-svc
  namespace: staging
spec:
  hosts:
  - recommendation-svc
  http:
  - route:
    - destination:
        host: recommendation-svc
        subset: v1
      weight: 90
    - destination:
        host: recommendation-svc
        subset: v2
      weight: 10
"""
HEADER_ROUTING = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: recommendation-svc
  namespace: staging
spec:
  hosts:
  - recommendation-svc
  http:
  - match:
    - headers:
        x-test-user:
          exact: "true"
    route:
    - destination:
        host: recommendation-svc
        subset: v2
  - match:
    - headers:
        x-canary:
          exact: "true"
    route:
    - destination:
        host: recommendation-svc
        subset: v2
  - route:
    - destination:
        host: recommendation-svc
        subset: v1
    timeout: 3s
    retries:
      attempts: 3
      perTryTimeout: 1s
      retryOn: 5xx,reset,connect-failure,retriable-4xx
"""


def test_fault_injection_half_fail_and_a_third_is_late(lab: LabState) -> None:
    proxy, url = sidecar(lab, "user-svc"), "http://inventory-svc.staging:8080/stock/check"
    assert "created" in kubectl(lab, "apply", "-n", "staging", "-f", "-", stdin=FAULT_INJECTION)
    until(lambda: any(one.status == 503 for one in ask(proxy, url, 5)))
    answers = ask(proxy, url, 300)
    statuses = Counter(one.status for one in answers)
    assert set(statuses) == {200, 503}
    assert agrees(statuses[503], 300, 0.5), statuses
    late = sum(one.lasted(3) for one in answers)
    assert agrees(late, 300, 0.3), late
    with ThreadPoolExecutor(20) as pool:
        placed = pool.map(lambda _: loopback.get(f"{lab.entry}/orders/42", timeout=20).json(), range(20))
        orders = list(placed)
    assert all(order["state"] == "placed" for order in orders), "the order service degrades instead of failing"
    assert any(order.get("degraded") for order in orders)
    assert "deleted" in kubectl(lab, "delete", "vs", "inventory-svc", "-n", "staging")
    until(lambda: all(one.status == 200 and one.seconds < 1 for one in ask(proxy, url, 20)))


def test_canary_one_in_ten_gets_the_new_version(lab: LabState) -> None:
    proxy, url = sidecar(lab, "order-svc"), "http://recommendation-svc:8080/recommendations/1"
    kubectl(lab, "apply", "-n", "staging", "-f", "-", stdin=CANARY)
    until(lambda: versions(proxy, url, 40)["v2"] > 0)
    found = versions(proxy, url, 600)
    assert set(found) == {"v1", "v2"}
    assert agrees(found["v2"], 600, 0.1), found


def test_header_routing_marked_requests_and_only_they_get_their_version(lab: LabState) -> None:
    proxy, url = sidecar(lab, "order-svc"), "http://recommendation-svc:8080/recommendations/1"
    kubectl(lab, "apply", "-n", "staging", "-f", "-", stdin=HEADER_ROUTING)
    # Asked with the header: without it, the weights of an earlier manifest can give the same answer by chance.
    until(lambda: versions(proxy, url, 20, **{"x-test-user": "true"}) == {"v2": 20})
    assert versions(proxy, url, 50) == {"v1": 50}
    assert versions(proxy, url, 50, **{"x-test-user": "true"}) == {"v2": 50}
    assert versions(proxy, url, 50, **{"x-canary": "true"}) == {"v2": 50}
    assert versions(proxy, url, 50, **{"x-test-user": "false"}) == {"v1": 50}


def versions(proxy: str, url: str, times: int, **headers: str) -> Mapping[str, int]:
    return Counter(one.version for one in ask(proxy, url, times, **headers))
