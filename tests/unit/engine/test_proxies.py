"""Asking the callers' proxies: never waiting, and giving up where one does not tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pytest

from chaos.engine.clock import SystemClock
from chaos.engine.proxies import PATIENCE, Proxies
from chaos.errors import MeshError
from chaos.model.history import ProxySeen
from chaos.model.plan import Caller
from chaos.ports import Mesh
from chaos.testing.clock import VirtualClock
from tests.support.histories import plan

HAS, HAS_NOT = '{"name": "chaos-r1-inventory-svc"}', '{"name": "default"}'


class Pods:
    """A mesh whose proxies answer what they are told to; one that is told to hang does so until the end."""

    def __init__(self) -> None:
        self.answers: dict[str, str | Exception | None] = {"o-1": HAS, "o-2": HAS}
        self.hanging: set[str] = set()
        self.pending: set[str] = set()
        self.end = threading.Event()
        self.listed: list[str] | Exception | None = None
        self.list_hangs = False
        self.listing = threading.Event()

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        assert namespace == "staging"
        if pod in self.hanging:
            self.end.wait()
        answer = self.answers[pod]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pods(self, namespace: str) -> list[Mapping[str, Any]]:
        self.listing.set()
        if self.list_hangs:
            self.end.wait()
        if isinstance(self.listed, Exception):
            raise self.listed
        owner = {"kind": "ReplicaSet", "name": "order-svc-1", "controller": True}
        return [
            {
                "status": {"phase": "Pending" if name in self.pending else "Running"},
                "metadata": {"name": name, "generateName": "order-svc-1-", "namespace": namespace, "labels": {"pod-template-hash": "1"}, "ownerReferences": [owner]},
                "spec": {"containers": [{"name": "istio-proxy"}]},
            }
            for name in (self.listed or list(self.answers))
        ]  # fmt: skip


@pytest.fixture
def pods() -> Iterator[Pods]:
    made = Pods()
    yield made
    made.end.set()


class StepClock(VirtualClock):
    """Time that passes only by sleeping; what may hang is in threads."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def beside(self, work: Callable[[], None]) -> None:
        SystemClock().beside(work)


def proxies(pods: Pods, clock: StepClock, *names: str) -> Proxies:
    callers = (Caller(namespace="staging", workload="order-svc", pods=names or ("o-1", "o-2")),)
    return Proxies(cast("Mesh", pods), clock, plan(callers=callers).injections, every=True)


def seen(one: Proxies, *, until: Callable[[], bool] = lambda: False) -> ProxySeen | None:
    """The next thing seen; ``None`` once a condition holds first."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = one.look(100.0)
        if found is not None or until():
            return found
        threading.Event().wait(0.001)
    raise AssertionError("nothing was seen")


def test_it_counts_who_has_one_of_the_routes(pods: Pods) -> None:
    pods.answers["o-2"] = HAS_NOT
    clock = StepClock()
    assert seen(proxies(pods, clock)) == ProxySeen(at=100.0, asked=100.0, having=1, of=2)


def test_each_round_asks_anew(pods: Pods) -> None:
    one = proxies(pods, StepClock())
    assert (found := seen(one)) is not None
    assert found.having == 2
    pods.answers = dict.fromkeys(pods.answers, HAS_NOT)
    assert (found := seen(one)) is not None
    assert found.having == 0


def test_one_that_hangs_makes_them_silent_after_a_while_and_waits_for_nobody(pods: Pods) -> None:
    pods.hanging |= {"o-1", "o-2"}
    clock = StepClock()
    one = proxies(pods, clock)
    assert one.look(0.0) is None
    clock.sleep(PATIENCE)
    silent = []
    for _ in range(2):
        assert one.look(0.0) is None
        silent.append(one.silent)
        clock.sleep(0.1)
    assert silent == [False, True]
    assert one.look(100.0) == ProxySeen(at=clock.now() + 100, having=0, of=0), "that is told once"
    assert one.look(100.0) is None


@pytest.mark.parametrize("answer", [None, MeshError("exec: 500", status=500), ValueError("a bug")])
def test_one_that_can_not_be_asked_makes_them_silent(pods: Pods, answer: Exception | None) -> None:
    pods.answers["o-2"] = answer
    one = proxies(pods, StepClock())
    assert (found := seen(one)) is not None
    assert (found.having, found.of, one.silent) == (0, 0, True)


def test_pods_that_came_and_went_are_noticed(pods: Pods) -> None:
    pods.answers = {"o-1": None, "o-2": HAS, "o-3": HAS_NOT}
    pods.listed = ["o-2", "o-3"]
    one = proxies(pods, StepClock())
    assert (found := seen(one)) is not None
    assert (found.having, found.of, one.silent) == (1, 2, False)


def test_a_list_that_fails_leaves_it_to_the_counts(pods: Pods) -> None:
    pods.answers["o-1"], pods.listed = None, MeshError("list pods: 503", status=503)
    one = proxies(pods, StepClock())
    assert (found := seen(one)) is not None
    assert found.of == 0


def test_a_list_that_hangs_is_not_waited_for_and_leaves_it_to_the_counts(pods: Pods) -> None:
    pods.answers["o-1"], pods.list_hangs = None, True
    clock = StepClock()
    one = proxies(pods, clock)
    assert seen(one, until=pods.listing.is_set) is None
    clock.sleep(PATIENCE + 0.1)
    assert one.look(100.0) is None
    assert (told := one.look(100.0)) is not None
    assert told.of == 0


def test_without_known_pods_nobody_is_asked(pods: Pods) -> None:
    one = Proxies(cast("Mesh", pods), StepClock(), plan(callers=()).injections, every=True)
    assert one.silent
    assert one.look(0.0) == ProxySeen(at=0.0, having=0, of=0)


def test_many_are_asked_side_by_side(pods: Pods) -> None:
    names = [f"o-{n}" for n in range(40)]
    pods.answers = dict.fromkeys(names, HAS)
    eight, answer = threading.Barrier(8), pods.routes_of_proxy

    def with_others(namespace: str, pod: str) -> str | None:
        eight.wait(10)
        return answer(namespace, pod)

    pods.routes_of_proxy = with_others  # type: ignore[method-assign]
    assert (found := seen(proxies(pods, StepClock(), *names))) is not None
    assert (found.having, found.of) == (40, 40)


def test_one_after_the_other_may_take_long_in_all(pods: Pods) -> None:
    """What counts is the time since the last answer: many proxies at a slow API server are not silent."""
    names = [f"o-{n}" for n in range(20)]
    pods.answers = dict.fromkeys(names, HAS)
    pods.hanging = {"o-19"}
    clock = StepClock()
    one = proxies(pods, clock, *names)
    assert one.look(0.0) is None
    deadline = time.monotonic() + 10
    while len(one._round.answers() if one._round else ()) < 19:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    clock.sleep(PATIENCE + 1)
    assert one.look(0.0) is None
    assert not one.silent, "it has just been seen that nineteen have answered"
    clock.sleep(PATIENCE + 1)
    assert one.look(0.0) is None
    assert one.silent


def test_a_replica_that_does_not_run_yet_has_no_proxy_to_ask(pods: Pods) -> None:
    pods.answers, pods.pending = {"o-1": HAS, "o-2": None}, {"o-2"}
    one = proxies(pods, StepClock())
    assert (found := seen(one)) is not None
    assert (found.having, found.of, one.silent) == (1, 1, False)


def test_a_caller_of_two_targets_has_the_fault_with_both_routes_and_lost_it_without_any(pods: Pods) -> None:
    (first,) = plan(callers=(Caller(namespace="staging", workload="order-svc", pods=("o-1", "o-2")),)).injections
    second = first.model_copy(update={"route_name": "chaos-r1-payment-svc"})
    pods.answers = {"o-1": HAS, "o-2": f'[{HAS}, {{"name": "chaos-r1-payment-svc"}}]'}
    for every, having in ((True, 1), (False, 2)):
        one = Proxies(cast("Mesh", pods), StepClock(), (first, second), every=every)
        assert (found := seen(one)) is not None
        assert (found.having, found.of) == (having, 2)
    unknown = second.model_copy(update={"callers": ()})
    assert Proxies(cast("Mesh", pods), StepClock(), (first, unknown), every=True).silent, "one target's are not known"
