"""What VirtualServices can do beside forwarding, with the lab's real sidecars: redirect, answer, mirror, CORS, delegate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from chaos.lab.istio.proxy import STATS_PORT
from chaos.lab.state import LabState
from tests.support import loopback, waiting

pytestmark = pytest.mark.lab
URL = "http://inventory-svc:8080"
DESTINATION = {"route": [{"destination": {"host": "inventory-svc"}}]}


@pytest.fixture
def caller(lab: LabState) -> Iterator[httpx.Client]:
    """An application in the order service's pod."""
    pods = loopback.get(f"{lab.api}/api/v1/namespaces/staging/pods?labelSelector=app=order-svc").json()
    proxy = f"http://{pods['items'][0]['status']['podIP']}:15001"
    with loopback.Client(proxy=proxy, timeout=10, follow_redirects=False) as client:
        yield client


@pytest.fixture
def route(lab: LabState) -> Iterator[Callable[..., httpx.Response]]:
    """Writes a VirtualService for inventory-svc (or a delegate), and takes all away again."""
    path = f"{lab.api}/apis/networking.istio.io/v1/namespaces/staging/virtualservices"
    written: list[str] = []

    def write(
        *http: dict[str, Any], name: str = "routes", hosts: tuple[str, ...] = ("inventory-svc",)
    ) -> httpx.Response:
        spec = {**({"hosts": list(hosts)} if hosts else {}), "http": list(http)}
        obj = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name},
            "spec": spec,
        }
        answer = loopback.post(path, json=obj)
        if answer.status_code == 201:
            written.append(name)
        return answer

    yield write
    for name in written:
        assert loopback.delete(f"{path}/{name}").status_code == 200


def until(ask: Callable[[], httpx.Response], condition: Callable[[httpx.Response], bool]) -> httpx.Response:
    """The first answer that is as it should be."""
    return waiting.until(lambda: answer if condition(answer := ask()) else None, within=20)


@pytest.mark.parametrize(
    ("redirect", "code", "location"),
    [
        ({"uri": "/moved"}, 301, "http://inventory-svc:8080/moved?q=2"),
        ({"authority": "elsewhere.example", "redirectCode": 302}, 302, "http://elsewhere.example/stock/1?q=2"),
        ({"scheme": "https", "authority": "x.example", "port": 8443, "redirectCode": 307}, 307, "https://x.example:8443/stock/1?q=2"),
        ({"uri": "/same", "derivePort": "FROM_REQUEST_PORT", "authority": "y.example", "redirectCode": 308}, 308, "http://y.example:8080/same?q=2"),
    ],
)  # fmt: skip
def test_redirect(
    caller: httpx.Client, route: Callable[..., httpx.Response], redirect: dict[str, Any], code: int, location: str
) -> None:
    assert route({"redirect": redirect}).status_code == 201
    answer = until(lambda: caller.get(f"{URL}/stock/1?q=2"), lambda answer: answer.status_code == code)
    assert answer.headers["location"] == location


def test_direct_response(caller: httpx.Client, route: Callable[..., httpx.Response]) -> None:
    answer = {"status": 418, "body": {"string": "I am a teapot"}}
    assert route({"match": [{"uri": {"prefix": "/tea"}}], "directResponse": answer}, DESTINATION).status_code == 201
    found = until(lambda: caller.get(f"{URL}/tea"), lambda answer: answer.status_code == 418)
    assert found.text == "I am a teapot"
    assert caller.get(f"{URL}/stock/1").status_code == 200


def test_cors(caller: httpx.Client, route: Callable[..., httpx.Response]) -> None:
    policy = {
        "allowOrigins": [{"exact": "https://shop.example"}, {"regex": "https://.*\\.trusted\\.example"}],
        "allowMethods": ["GET", "PUT"], "allowHeaders": ["x-token"], "maxAge": "24h", "allowCredentials": True,
    }  # fmt: skip
    assert route({**DESTINATION, "corsPolicy": policy}).status_code == 201
    preflight = {"access-control-request-method": "PUT"}

    def ask(origin: str) -> httpx.Response:
        return caller.options(f"{URL}/stock/1", headers={"origin": origin, **preflight})

    answer = until(lambda: ask("https://shop.example"), lambda answer: "access-control-allow-origin" in answer.headers)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-methods"] == "GET,PUT"
    assert answer.headers["access-control-max-age"] == "86400"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert ask("https://a.trusted.example").headers["access-control-allow-origin"] == "https://a.trusted.example"
    assert "access-control-allow-origin" not in ask("https://evil.example").headers


def arrived(lab: LabState, service: str) -> int:
    """Requests that the sidecar of a service's only pod has counted; read there, so that no scrape is waited for."""
    selected = f"{lab.api}/api/v1/namespaces/staging/pods?labelSelector=app={service}"
    (pod,) = loopback.get(selected).json()["items"]
    lines = loopback.get(f"http://{pod['status']['podIP']}:{STATS_PORT}/stats/prometheus").text.splitlines()
    counters = [line for line in lines if "istio_requests_total{" in line and 'reporter="destination"' in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in counters)


@pytest.mark.parametrize(("percent", "share"), [(None, 1.0), ({"value": 30}, 0.3)])
def test_mirror(
    lab: LabState,
    caller: httpx.Client,
    route: Callable[..., httpx.Response],
    percent: dict[str, Any] | None,
    share: float,
) -> None:
    """Copies arrive at the mirror at their share, and the caller never hears of them."""
    total = 300
    mirror = {"mirror": {"host": "payment-svc"}, **({"mirrorPercentage": percent} if percent else {})}
    assert route({**DESTINATION, **mirror, "headers": {"response": {"set": {"x-mirrored": "yes"}}}}).status_code == 201
    until(lambda: caller.get(f"{URL}/stock/1"), lambda answer: answer.headers.get("x-mirrored") == "yes")
    settled = _settled(lambda: arrived(lab, "payment-svc"))
    answers = [caller.get(f"{URL}/stock/1") for _ in range(total)]
    assert {answer.json()["service"] for answer in answers} == {"inventory-svc"}
    copies = _settled(lambda: arrived(lab, "payment-svc"), more_than=settled) - settled
    assert abs(copies - total * share) <= 5 * math.sqrt(total * share * (1 - share)), copies


def _settled(read: Callable[[], int], *, more_than: int = -1) -> int:
    """A counter once it has stood still for a second, in which a copy has long arrived."""
    deadline, since, last = time.monotonic() + 30, time.monotonic(), read()
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = read()
        if now != last:
            since, last = time.monotonic(), now
        if last > more_than and time.monotonic() - since > 1:
            return last
    raise AssertionError(f"the counter never came to rest; at last {last}")


def test_delegate(caller: httpx.Client, route: Callable[..., httpx.Response]) -> None:
    """The delegate's routes stand in the root's place, narrowed by it; what it does not say, the root says."""
    leaf = [
        {"match": [{"uri": {"prefix": "/stock/v2"}}], "directResponse": {"status": 299}},
        {"match": [{"uri": {"prefix": "/other"}}], "directResponse": {"status": 298}},
        {**DESTINATION, "headers": {"response": {"set": {"x-leaf": "yes"}}}},
    ]
    assert route(*leaf, name="leaf", hosts=()).status_code == 201
    root = {"match": [{"uri": {"prefix": "/stock"}}], "delegate": {"name": "leaf"}}
    assert route(root, {"directResponse": {"status": 297}}).status_code == 201
    until(lambda: caller.get(f"{URL}/elsewhere"), lambda answer: answer.status_code == 297)
    assert caller.get(f"{URL}/stock/v2/1").status_code == 299
    assert caller.get(f"{URL}/other/1").status_code == 297, "no part of what the root asks for: dropped"
    plain = caller.get(f"{URL}/stock/1")
    assert (plain.status_code, plain.headers["x-leaf"]) == (200, "yes")


@pytest.mark.parametrize(
    ("http", "told"),
    [
        ({"redirect": {"redirectCode": 302}}, "redirect must specify URI, authority, scheme, or port"),
        ({"redirect": {"uri": "/", "redirectCode": 305}}, "does not support spec.http[0].redirect.redirectCode: 305"),
        ({"redirect": {"uri": "/"}, **DESTINATION}, "cannot contain both route and redirect"),
        ({"directResponse": {"status": 99}}, "HTTP status 99 is not in range"),
        (
            {**DESTINATION, "mirror": {"host": "a"}, "mirrors": [{"destination": {"host": "b"}}]},
            "both mirror and mirrors",
        ),
        ({**DESTINATION, "mirror": {"host": "a"}, "mirrorPercentage": {"value": 101}}, "between 0 and 100"),
        ({"delegate": {"name": "x"}, **DESTINATION}, "root HTTP route must not specify route"),
        ({**DESTINATION, "corsPolicy": {"allowMethods": ["FETCH"]}}, "'FETCH' is not a supported HTTP method"),
    ],
)
def test_what_istio_rejects_is_rejected(route: Callable[..., httpx.Response], http: dict[str, Any], told: str) -> None:
    answer = route(http)
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["message"]


def test_consistent_hashing_keeps_a_user_on_one_version(lab: LabState, caller: httpx.Client) -> None:
    """With real Envoy: the same header always meets the same pod, different ones meet all of them."""
    path = f"{lab.api}/apis/networking.istio.io/v1/namespaces/staging/destinationrules/recommendation-svc"
    before = loopback.get(path).json()
    spec = {
        "host": "recommendation-svc",
        "trafficPolicy": {"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}},
    }
    services = f"{lab.api}/apis/networking.istio.io/v1/namespaces/staging/virtualservices/recommendation-svc"
    governing = loopback.get(services).json()
    assert loopback.delete(services).status_code == 200
    try:
        assert loopback.put(path, json={**before, "spec": spec}).status_code == 200
        url = "http://recommendation-svc:8080/recommendations/1"

        def pods(user: str) -> set[str]:
            answers = [caller.get(url, headers={"x-user": user}) for _ in range(12)]
            # While the change is on its way, clusters and routes may not fit together for a moment.
            return {
                answer.json()["pod"] if answer.status_code == 200 else str(answer.status_code) for answer in answers
            }

        deadline = time.monotonic() + 20
        while any(len(found) > 1 or min(found).isdigit() for found in (pods(f"user-{number}") for number in range(6))):
            assert time.monotonic() < deadline, "users still wander"
        assert len({next(iter(pods(f"user-{number}"))) for number in range(24)}) == 2
    finally:
        after = loopback.get(path).json()
        loopback.put(path, json={**after, "spec": before["spec"]})
        governing["metadata"] = {key: governing["metadata"][key] for key in ("name", "namespace")}
        loopback.post(services.rpartition("/")[0], json=governing)


def test_routes_with_a_stat_prefix_are_counted_by_it(
    lab: LabState, caller: httpx.Client, route: Callable[..., httpx.Response]
) -> None:
    pods = loopback.get(f"{lab.api}/api/v1/namespaces/staging/pods?labelSelector=app=order-svc").json()
    address = pods["items"][0]["status"]["podIP"]
    retries = {"attempts": 1, "retryOn": "5xx", "retryRemoteLocalities": True}
    marked = {"match": [{"uri": {"prefix": "/stock"}, "statPrefix": "stock"}], **DESTINATION, "retries": retries}
    assert route(marked, DESTINATION).status_code == 201

    def counted() -> int:
        said = loopback.get(f"http://{address}:15000/stats?filter=route.stock.upstream_rq_total").text
        return sum(int(line.rpartition(":")[2]) for line in said.splitlines())

    until(lambda: caller.get(f"{URL}/stock/1"), lambda _: counted() > 0)
    before = counted()
    for _ in range(5):
        assert caller.get(f"{URL}/stock/1").status_code == 200
    assert counted() == before + 5
