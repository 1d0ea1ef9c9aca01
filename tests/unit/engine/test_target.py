"""What happens to the target while a fault is active is seen, on the lab's API server, and nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.clock import SystemClock
from chaos.engine.planning import make_plan
from chaos.engine.target import EVERY, Found, FreezeWatch, TargetWatch, Watched
from chaos.model.events import TroubleKind
from chaos.model.marks import FROZEN
from chaos.model.settings import Settings
from chaos.ports import Object
from tests.support.api_server import CONTEXT, ApiServer
from tests.support.situations import experiment, situation, virtual_service
from tests.support.waiting import until

Change = Callable[[KubernetesMesh, Object], object]


class Skipping(SystemClock):
    """Time of which some can be skipped."""

    skipped = 0.0

    def now(self) -> float:
        return super().now() + self.skipped

    def skip(self, seconds: float) -> None:
        self.skipped += seconds


class Injected:
    """A fault that was written, and the watch over it."""

    def __init__(self, folder: Path) -> None:
        self.server = ApiServer(folder)
        self.mesh = KubernetesMesh(str(self.server.kubeconfig), CONTEXT)
        # Older than the fault, and of another host.
        other = virtual_service("a-first", hosts=["payment-svc"], exportTo=["."])
        self.mesh.create_virtual_service({**other, "metadata": {"name": "a-first", "namespace": "staging"}})
        found = replace(situation(), virtual_services=self.mesh.virtual_services())
        plan = make_plan(experiment(), [found], Settings(namespaces=("staging",)), run="k3x9q2ab", now=time.time())
        assert plan.allowed, plan.refusals
        self.written, _ = self.mesh.create_virtual_service(plan.injections[0].after)
        self.clock = Skipping()
        self.followed = self.mesh.follow_virtual_services()
        watched = [Watched(experiment(), found, self.written)]
        self.watch = TargetWatch(self.mesh, self.clock, watched, self.followed)

    def look(self) -> Found:
        """The next look's answer, a period later."""
        self.clock.skip(EVERY)
        return until(self.watch.look, "the look's answer")

    def close(self) -> None:
        self.followed.stop()
        self.server.stop()


@pytest.fixture
def injected(tmp_path: Path) -> Iterator[Injected]:
    made = Injected(tmp_path)
    yield made
    made.close()


def edited(mesh: KubernetesMesh, written: Object) -> object:
    spec = {**written["spec"], "http": [{**written["spec"]["http"][0], "timeout": "7s"}]}
    return mesh.replace_virtual_service({**written, "spec": spec})


def removed(mesh: KubernetesMesh, written: Object) -> object:
    return mesh.delete_virtual_service("staging", written["metadata"]["name"])


def made_anew(mesh: KubernetesMesh, written: Object) -> object:
    removed(mesh, written)
    meta = {key: written["metadata"][key] for key in ("name", "namespace")}
    return mesh.create_virtual_service({"metadata": meta, "spec": written["spec"]})


def overtaken(mesh: KubernetesMesh, written: Object) -> object:
    older = mesh.virtual_service("staging", "a-first")
    assert older is not None
    return mesh.replace_virtual_service({**older, "spec": {**older["spec"], "hosts": ["inventory-svc"]}})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edited, "somebody edited VirtualService staging/"),
        (removed, "no longer governs staging/inventory-svc: "),
        (made_anew, "no longer governs staging/inventory-svc: staging/"),
        (overtaken, "no longer governs staging/inventory-svc: staging/a-first does"),
    ],
)
def test_what_somebody_does_to_the_target_ends_the_run(injected: Injected, change: Change, told: str) -> None:
    assert injected.look() == Found()
    change(injected.mesh, injected.written)
    # What is watched is heard a moment later.
    found = until(lambda: one if (one := injected.look()) != Found() else None, "it is noticed")
    assert found.trouble is TroubleKind.TARGET_CHANGED
    assert told in found.message


def test_a_freeze_is_seen_while_an_earlier_question_hangs(injected: Injected) -> None:
    freezes, inner, hung = FreezeWatch(injected.mesh, injected.clock, ["staging"]), injected.server.app, asyncio.Event()
    answer = asyncio.Event()

    async def hangs_once(scope: Any, receive: Any, send: Any) -> None:
        if not hung.is_set():
            hung.set()
            await answer.wait()
        await inner(scope, receive, send)

    injected.server.app = hangs_once
    try:
        assert freezes.look() == ""
        until(hung.is_set, "the question hangs")
        injected.mesh.annotate_namespace("staging", FROZEN, "release day")
        assert (
            until(freezes.look, "the freeze")
            == "somebody froze the namespace staging for chaos runs, for the reason 'release day'"
        )
    finally:
        injected.server.call(answer.set)


def test_what_does_not_concern_the_target_is_no_trouble(injected: Injected) -> None:
    assert injected.look() == Found()
    other = virtual_service("other", hosts=["payment-svc"])
    made, _ = injected.mesh.create_virtual_service({**other, "metadata": {"name": "other", "namespace": "staging"}})
    injected.mesh.delete_virtual_service("staging", made["metadata"]["name"])
    assert [injected.look() for _ in range(3)] == [Found()] * 3


def _is_heard(injected: Injected, changes: int) -> bool:
    return injected.followed.changes > changes


def test_while_all_is_well_nothing_is_listed_but_once(injected: Injected) -> None:
    """Also where another VirtualService is written before each look."""
    injected.server.calls.clear()
    for number in range(1, 6):
        changes, other = injected.followed.changes, injected.mesh.virtual_service("staging", "a-first")
        assert other is not None
        http = [{**other["spec"]["http"][0], "timeout": f"{number}s"}]
        injected.mesh.replace_virtual_service({**other, "spec": {**other["spec"], "http": http}})
        until(partial(_is_heard, injected, changes), "it is heard")
        assert injected.look() == Found()
    wide = [path for _, path in injected.server.calls if path.endswith("networking.istio.io/v1/virtualservices")]
    assert len(wide) <= 2, "a list and a watch, at most"


def test_an_api_server_that_hangs_holds_nobody_up(injected: Injected) -> None:
    assert injected.look() == Found()
    inner, hanging = injected.server.app, threading.Event()
    answer = asyncio.Event()

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        hanging.set()
        await answer.wait()
        await inner(scope, receive, send)

    injected.server.app = hangs
    try:
        injected.clock.skip(EVERY)
        assert injected.watch.look() is None
        assert hanging.wait(30)
        injected.clock.skip(9 * EVERY)
        assert injected.watch.look() is None, "asked once, and not waited for"
    finally:
        injected.server.app = inner
        injected.server.call(answer.set)


def test_an_api_server_that_is_gone_is_told_and_is_no_trouble_of_the_target(injected: Injected) -> None:
    assert injected.look() == Found()
    injected.server.stop()
    found = injected.look()
    assert found.trouble is None
    assert "no answer" in found.message
    injected.server.start()


def test_while_a_stage_follows_another_the_spec_may_be_that_of_either(injected: Injected) -> None:
    (watched,) = injected.watch.watched
    before = injected.written["spec"]
    after = {**before, "http": [{**before["http"][0], "timeout": "7s"}, *before["http"][1:]]}
    watched.specs = (before, after)
    assert injected.look() == Found()
    written, _ = injected.mesh.replace_virtual_service({**injected.written, "spec": after})
    assert injected.look() == Found()
    watched.specs = (after,)
    assert injected.look() == Found()
    injected.mesh.replace_virtual_service({**written, "spec": before})
    found = until(lambda: one if (one := injected.look()) != Found() else None, "it is noticed")
    assert found.trouble is TroubleKind.TARGET_CHANGED, "nobody goes back to a stage that is over"
