"""An operations guide's time-outs, retries, connection pools and outlier detection, applied with kubectl, measured at callers.

The names are Bookinfo's; the figures of the manifests are the guide's. Who answers badly or late does so by itself: a fault
of the mesh is injected before these policies act, and would show nothing of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Self

import pytest

from chaos.lab.state import LabState
from chaos.lab.workloads.grpc_client import GrpcClient
from tests.conftest import FIGURE
from tests.e2e.callers import AtOnce, Connection, Reply, agrees, applying, ask, kubectl, sidecar
from tests.e2e.guide_mesh import (
    AB_TEST,
    DESTINATION_RULE,
    HEADER_ROUTES,
    IN_TURN,
    MESH,
    RESILIENCE_ROUTES,
    RESILIENCE_RULE,
    RETRY_ON,
    ROUTES,
    SERVICE_ENTRY,
    admin,
    counted,
    ejected,
    flagged,
    has_pool,
    has_route,
    total,
    tries,
)
from tests.support.kubectl import needs_kubectl
from tests.support.labs import own_lab
from tests.support.scope import survive_only
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, needs_kubectl, survive_only]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    file = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    file.write_text(MESH)
    with own_lab(tmp_path_factory.mktemp("labs"), "resilience", manifests=[file]) as made:
        yield made


@pytest.fixture(scope="module")
def sleep(lab: LabState) -> str:
    """The sidecar of a pod that only calls."""
    return sidecar(lab, "sleep", "default")


@pytest.fixture
def apply(lab: LabState) -> Iterator[Callable[[str], None]]:
    with applying(lab) as one:
        yield one


def one_by_one(proxy: str, url: str, times: int) -> list[Reply]:
    """The replies to requests of which each waits for the one before."""
    with contextlib.closing(Connection(proxy)) as connection:
        return [connection.reply(url) for _ in range(times)]


class Caller:
    """Asks a service for something on and on, up to fifty times a second, and remembers what it got and when."""

    def __init__(self, proxy: str, url: str) -> None:
        self._proxy, self._url = proxy, url
        self._stopped = threading.Event()
        self.replies: list[tuple[float, Reply]] = []
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _go_on(self) -> None:
        with contextlib.closing(Connection(self._proxy)) as connection:
            while not self._stopped.wait(0.02):
                reply = connection.reply(self._url)
                self.replies.append((time.monotonic(), reply))

    def failures(self) -> list[tuple[float, Reply]]:
        """Those that were no 200."""
        return [one for one in self.replies if one[1].status != 200]

    def wait_for(self, number: int) -> list[Reply]:
        """The next replies."""
        begin = len(self.replies)
        until(lambda: len(self.replies) >= begin + number)
        return [reply for _, reply in self.replies[begin:]]


@pytest.fixture(scope="module")
def reviews(lab: LabState, sleep: str) -> Iterator[Caller]:
    """A caller of reviews from when its rule is applied until this file's last test."""
    with Caller(sleep, "http://reviews:9080/reviews/0") as caller:
        until(lambda: any(reply.status == 500 for reply in caller.wait_for(20)), "an error of the broken pod")
        kubectl(lab, "apply", "-f", "-", stdin=DESTINATION_RULE.format(host="reviews"))
        yield caller


def test_a_pod_that_fails_five_times_in_a_row_is_ejected(lab: LabState, sleep: str, reviews: Caller) -> None:
    until(lambda: ejected(sleep, "reviews") == 1, "the broken pod is ejected")
    assert {reply.status for reply in reviews.wait_for(60)} == {200}
    assert len({reply.pod for reply in reviews.wait_for(60)}) == 3
    # Every caller finds out for itself.
    other = sidecar(lab, "productpage", "default")
    assert ejected(other, "reviews") == 0
    seen = [reply.status for reply in one_by_one(other, "http://reviews:9080/reviews/0", 200)]
    assert 5 <= seen.count(500) <= 10, "some may come while Envoy ejects it; a pod that stays gets a quarter of 200"
    assert ejected(other, "reviews") == 1


def test_no_more_than_half_are_ejected(sleep: str, apply: Callable[[str], None]) -> None:
    url = "http://ratings:9080/ratings/0"
    apply(DESTINATION_RULE.format(host="ratings"))
    until(lambda: len({reply.pod for reply in one_by_one(sleep, url, 60)}) == 2, "two are ejected")
    replies = one_by_one(sleep, url, 200)
    assert {reply.status for reply in replies} == {200, 500}, "three of four are broken, but two is the half"
    assert len({reply.pod for reply in replies}) == ejected(sleep, "ratings") == 2


def test_a_lone_pod_stays_unless_all_may_be_ejected(lab: LabState, sleep: str, apply: Callable[[str], None]) -> None:
    """Envoy ejects as long as the share of the ejected stays within the limit: one of one is 100 %, not 50 %."""
    url, rule = "http://details:9080/details/0", DESTINATION_RULE.format(host="details")
    apply(rule)
    known = "outbound|9080|v3|details.default.svc.cluster.local"
    until(lambda: known in admin(sleep, "clusters"), "the rule's subsets are there")
    assert {reply.status for reply in one_by_one(sleep, url, 50)} == {500}
    assert ejected(sleep, "details") == 0
    all_after_twelve = rule.replace("maxEjectionPercent: 50", "maxEjectionPercent: 100").replace(
        "consecutive5xxErrors: 5", "consecutive5xxErrors: 12"
    )
    kubectl(lab, "apply", "-f", "-", stdin=all_after_twelve)
    other = sidecar(lab, "productpage", "default")
    until(lambda: '"consecutive_5xx": 12' in admin(other, "config_dump?resource=dynamic_active_clusters"))
    statuses: list[int] = []

    def nobody_is_left() -> bool:
        statuses.extend(reply.status for reply in one_by_one(other, url, 1))
        return statuses[-1] == 503

    begun = time.monotonic()
    until(nobody_is_left)
    assert time.monotonic() - begun < 2, "Envoy ejects it at the twelfth, and some more may come meanwhile"
    assert set(statuses[:-1]) == {500}
    assert len(statuses) > 12
    assert [reply.status for reply in one_by_one(other, url, 20)] == [503] * 20
    until(lambda: flagged(lab, "details", "UH") == 21)


def test_retries_happen_and_are_bounded(
    lab: LabState, sleep: str, apply: Callable[[str], None], record_property: Callable[[str, object], None]
) -> None:
    """What is counted at the destination for each request of a caller: its tries."""
    apply(ROUTES.format(host="productpage", on=RETRY_ON))
    url = "http://productpage:9080"
    until(lambda: has_route(sleep, "productpage", "retriable-4xx"))
    ask(sleep, f"{url}/failing", 20)
    ask(sleep, f"{url}/conflict", 20)
    ask(sleep, f"{url}/missing", 20)
    unsteady = Counter(reply.status for reply in ask(sleep, f"{url}/unsteady", 600))
    assert set(unsteady) == {200, 503}
    assert agrees(unsteady[503], 600, 1 / 2**4), "a fourth try fails as the first does: by half"
    until(lambda: tries(lab, "productpage", 404) == (20, 20), "a 404 is asked for once")
    until(lambda: tries(lab, "productpage", 409) == (20, 80), "a 409 is, four times")
    until(lambda: tries(lab, "productpage", 200) == (unsteady[200], unsteady[200]))
    until(lambda: tries(lab, "productpage", 500) == (20, 80))
    until(lambda: flagged(lab, "productpage", "URX") == 20 + 20 + unsteady[503])
    failed = tries(lab, "productpage", 503)[1]
    assert agrees(int(failed), int(failed) + unsteady[200], 0.5), "of all tries"
    each = (failed + unsteady[200]) / 600
    record_property(
        FIGURE, f"three retries of a service that fails by half: {each:.2f} tries, {unsteady[503] / 600:.3f} failed"
    )


def test_each_word_of_retry_on_is_for_its_own_kind_of_failure(sleep: str, apply: Callable[[str], None]) -> None:
    """A host of two endpoints, one of which refuses or resets every connection.

    They are asked in turn, so that a retry is for the other one; by chance all tries may be for the bad one, which looks idle.
    """
    host = "books.example"
    apply(IN_TURN.format(host=host))
    for kind, word in (("refuses", "connect-failure"), ("resets", "reset")):
        with endpoint("answers") as good, endpoint(kind) as bad:
            apply(SERVICE_ENTRY.format(host=host, good=good, bad=bad))
            for on, helps in (("retriable-4xx", False), (word, True)):
                apply(ROUTES.format(host=host, on=on))
                until(partial(has_route, sleep, host, f'"retry_on": "{on}"'))
                until(lambda: str(bad) in admin(sleep, "clusters"))
                statuses = Counter(reply.status for reply in one_by_one(sleep, f"http://{host}/", 40))
                assert set(statuses) == ({200} if helps else {200, 503}), (kind, on, statuses)


@contextlib.contextmanager
def endpoint(kind: str) -> Iterator[int]:
    """The port of a server outside the mesh that ``answers``, that ``resets`` each connection, or that ``refuses`` it."""
    with socket.create_server(("127.0.0.1", 0)) if kind != "refuses" else socket.socket() as listener:
        if kind == "refuses":
            listener.bind(("127.0.0.1", 0))  # its own, and nobody listens
            yield listener.getsockname()[1]
            return
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    if kind == "resets":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    else:
                        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            socket.create_connection(listener.getsockname()).close()  # for accept to see it
            thread.join()


def test_time_outs_fire_at_their_bound(
    lab: LabState, sleep: str, apply: Callable[[str], None], record_property: Callable[[str, object], None]
) -> None:
    """3 s in all, 1 s for each try, of a service that would take 20 s.

    The flag says which of the two ended a request: that of tries alone is ``URX,UT``, after the fourth.
    """
    apply(ROUTES.format(host="productpage", on=RETRY_ON))
    until(lambda: has_route(sleep, "productpage", "retriable-4xx"))
    given_up = partial(counted, lab, "destination", "productpage", ',response_flags="DC"')
    timed_out = partial(counted, lab, "source", "productpage", ',response_code="504",response_flags="UT"')
    before = timed_out(), given_up()
    replies = ask(sleep, "http://productpage:9080/slow", 10)
    assert {reply.status for reply in replies} == {504}
    assert all(reply.lasted(3) for reply in replies), replies
    assert min(reply.seconds for reply in replies) < 10, replies
    until(lambda: timed_out() == before[0] + 10)
    until(lambda: given_up() >= before[1] + 30, "three tries each")
    tried = (given_up() - before[1]) / 10
    assert tried <= 4
    record_property(
        FIGURE, f"time-out 3 s with tries of 1 s: ended after {max(r.seconds for r in replies):.2f} s, {tried} tries"
    )


def test_the_pool_of_a_rule_sheds_what_it_can_not_hold(lab: LabState, sleep: str, apply: Callable[[str], None]) -> None:
    """100 connections and 100 requests that wait for one; what comes then is shed at once instead of queued."""
    url = "http://productpage:9080/slow"
    apply(DESTINATION_RULE.format(host="productpage"))
    until(lambda: has_pool(sleep, "productpage", 100))
    number = partial(total, sleep, "productpage")
    with AtOnce(sleep, url, 300) as burst:  # what waits for a connection that is being made is one that waits
        until(lambda: len(burst.replies()) + number("rq_active") + number("rq_pending_active") == 300)
        cold = len(burst.replies())
        assert 100 < cold <= 200
        assert all(reply.overloaded for reply in burst.replies())
    until(lambda: number("rq_active") + number("rq_pending_active") == 0)
    with contextlib.ExitStack() as first:
        fill(first, sleep, url, 100)
        with AtOnce(sleep, url, 200) as more:
            until(lambda: len(more.replies()) >= 100)
            assert len(more.replies()) == 100
            assert all(reply.overloaded and reply.status == 503 for reply in more.replies())
            assert (number("rq_active"), number("rq_pending_active")) == (100, 100)
            first.close()
            until(lambda: number("rq_pending_active") == 0, "those that waited have their turn")
            assert number("rq_active") == 100
            assert len(more.replies()) == 100
    until(lambda: flagged(lab, "productpage", "UO") == cold + 100)


def fill(stack: contextlib.ExitStack, proxy: str, url: str, number: int) -> None:
    """Has so many requests under way, by a hundred at a time, since no more may wait for the connections that they make."""

    def are_active(number: int) -> bool:
        return total(proxy, "productpage", "rq_active") == number

    for active in range(100, number + 1, 100):
        stack.enter_context(AtOnce(proxy, url, 100))
        until(partial(are_active, active), f"{active} requests are under way")


def test_the_pool_of_a_rule_sheds_requests_beyond_its_number(
    lab: LabState, sleep: str, apply: Callable[[str], None]
) -> None:
    """1,000 requests; over HTTP/2, where a hundred connections hold far more."""
    apply(DESTINATION_RULE.format(host="recommendation-svc"))
    until(lambda: has_pool(sleep, "recommendation-svc", 100, port=9081))
    before = flagged(lab, "recommendation-svc", "UO")
    refused = asyncio.run(shed_of(sleep, "recommendation-svc", 1100))
    assert refused == 100
    until(lambda: flagged(lab, "recommendation-svc", "UO") == before + 100)


async def shed_of(proxy: str, service: str, number: int) -> int:
    """How many calls fail at once while all the others are at the service; these are given up in the end."""
    client = GrpcClient(proxy=proxy.removeprefix("http://"))
    url = f"grpc://{service}:9081/books.Store"
    for _ in range(10):  # what waits for a new connection counts as pending, of which there may be 100
        await client.request(f"{url}/Idle", headers={})
    calls = [asyncio.create_task(client.request(f"{url}/Slow", headers={})) for _ in range(number)]
    try:
        async with asyncio.timeout(20):
            while sum(call.done() for call in calls) + total(proxy, service, "rq_active", port=9081) < number:
                await asyncio.sleep(0.05)
        ended = [await call for call in calls if call.done()]
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        client.close()
    assert {one.grpc for one in ended} == {"UNAVAILABLE"}
    return len(ended)


def test_a_rules_pool_bounds_connections_requests_on_each_and_retries(
    lab: LabState, sleep: str, apply: Callable[[str], None]
) -> None:
    """200 connections and 100 that wait, ten requests on each connection, three retries at a time."""
    url = "http://productpage:9080"
    apply(RESILIENCE_RULE)
    until(lambda: has_pool(sleep, "productpage", 200))
    used = total(sleep, "productpage", "cx_total")
    assert {reply.status for reply in one_by_one(sleep, f"{url}/", 100)} == {200}
    assert total(sleep, "productpage", "cx_total") - used >= 10
    with contextlib.ExitStack() as first:
        fill(first, sleep, f"{url}/slow", 200)
        with AtOnce(sleep, f"{url}/slow", 150) as more:
            until(lambda: len(more.replies()) >= 50)
            assert len(more.replies()) == sum(reply.overloaded for reply in more.replies()) == 50
    apply(ROUTES.format(host="productpage", on=RETRY_ON))
    until(lambda: has_route(sleep, "productpage", "retriable-4xx"))
    before = tries(lab, "productpage", 500)
    with AtOnce(sleep, f"{url}/late-failure", 50) as late:
        assert {reply.status for reply in late.all()} == {500}
    until(lambda: tries(lab, "productpage", 500)[0] == before[0] + 50)
    until(lambda: tries(lab, "productpage", 500)[1] >= before[1] + 53, "three retries at least")
    assert tries(lab, "productpage", 500)[1] < before[1] + 80, "all retries were 200 in all"


def test_the_guides_resilience_manifest_as_it_stands(
    lab: LabState, sleep: str, apply: Callable[[str], None], record_property: Callable[[str, object], None]
) -> None:
    """Its routes lead to a subset with a pool of its own, so that nothing of the rule's pool holds there."""
    url = "http://productpage:9080"
    apply(RESILIENCE_RULE)
    apply(RESILIENCE_ROUTES)
    until(lambda: has_pool(sleep, "productpage", 200))
    until(lambda: has_route(sleep, "productpage", "outbound|9080|v1|productpage"))
    before, answered = flagged(lab, "productpage", "DI"), tries(lab, "productpage", 200)[0]
    replies = ask(sleep, f"{url}/", 1500)
    assert {reply.status for reply in replies} == {200}
    until(lambda: tries(lab, "productpage", 200)[0] == answered + 1500)
    delayed = int(flagged(lab, "productpage", "DI") - before)
    assert delayed > 0
    assert agrees(delayed, 1500, 0.01), delayed
    assert sum(reply.lasted(2) for reply in replies) >= delayed
    with AtOnce(sleep, f"{url}/slow", 350) as many:
        replies = many.all()
    assert not any(reply.overloaded for reply in replies), "350 connections, where the rule has 200"
    assert {reply.status for reply in replies} == {504}
    assert all(reply.lasted(3) for reply in replies)
    record_property(FIGURE, f"the guide's 1 % delayed by 2 s, in spite of its time-out: {delayed / 15:.2f} %")


def test_each_kind_of_header_has_its_version_and_the_first_that_matches_wins(
    sleep: str, apply: Callable[[str], None]
) -> None:
    url = "http://recommendation-svc:9080/recommend"
    apply(DESTINATION_RULE.format(host="recommendation-svc"))
    apply(HEADER_ROUTES)
    tester, canary = {"x-test-user": "true"}, {"x-canary": "true"}
    until(lambda: {reply.who for reply in ask(sleep, url, 10, **tester)} == {"v3"})
    for headers, version in ((tester, "v3"), (canary, "v2"), ({**tester, **canary}, "v3"), ({}, "v1")):
        assert Counter(reply.version for reply in ask(sleep, url, 100, **headers)) == {version: 100}
    assert {reply.version for reply in ask(sleep, url, 20, **{"x-test-user": "True"})} == {"v1"}


def test_ab_each_kind_of_user_has_its_version_and_its_time_out(
    lab: LabState, sleep: str, apply: Callable[[str], None], record_property: Callable[[str, object], None]
) -> None:
    """What fails fast is the first try: one that took too long is no reason to try again, unless ``retryOn`` says so."""
    url, vip = "http://recommendation-svc:9080", {"x-user-tier": "vip"}
    apply(DESTINATION_RULE.format(host="recommendation-svc"))
    apply(AB_TEST)
    until(lambda: has_route(sleep, "recommendation-svc", '"timeout": "5s"'))
    until(lambda: {reply.who for reply in ask(sleep, f"{url}/recommend", 10, **vip)} == {"v2"})
    assert {reply.version for reply in ask(sleep, f"{url}/recommend", 100, **vip)} == {"v2"}
    assert {reply.version for reply in ask(sleep, f"{url}/recommend", 100)} == {"v1"}
    assert {reply.version for reply in ask(sleep, f"{url}/recommend", 20, **{"x-user-tier": "VIP"})} == {"v1"}
    # What takes longer than a try may, but less than the request, tells which of them is the bound.
    with ThreadPoolExecutor(2) as pool:
        fast, slow = pool.submit(ask, sleep, f"{url}/1.5s", 10, **vip), pool.submit(ask, sleep, f"{url}/3.5s", 10)
    assert {reply.status for reply in (*fast.result(), *slow.result())} == {504}
    assert all(reply.lasted(1) for reply in fast.result())
    assert all(reply.lasted(2) for reply in slow.result())
    until(lambda: counted(lab, "destination", "recommendation-svc", ',response_flags="DC"') == 20, "one try each")


def test_the_ejected_pod_comes_back(
    sleep: str, reviews: Caller, record_property: Callable[[str, object], None]
) -> None:
    """After 30 s, with the next look of each 10 s; and since it fails still, it goes again, for twice as long."""

    def away() -> float:
        """Seconds of the first time; on a slow machine the second may be over, too."""
        times = [at for at, _ in reviews.failures()]
        return next((later - earlier for earlier, later in pairwise(times) if later - earlier > 20), 0.0)

    until(lambda: away() > 0, "the pod is asked again", within=60)
    # A second change of a cluster within a second reaches Envoy's workers with the end of that second.
    assert 29 < away() < 50, away()
    until(lambda: ejected(sleep, "reviews") == 1, "it is ejected again")
    until(lambda: {reply.status for reply in reviews.wait_for(50)} == {200})
    assert len({reply.pod for _, reply in reviews.failures()}) == 1
    record_property(FIGURE, f"outlier detection, ejection 30 s, interval 10 s: the pod was away for {away():.1f} s")
