"""What it costs to see that a fault still is what was planned, among 2,000 VirtualServices: bytes and time of a look.

Before, each look listed the VirtualServices of the whole cluster; now they are watched. Both are measured here in turn, on
the lab's API server: a quiet mesh, and one in which somebody else's VirtualService changes before each look.

python -m benchmarks.watching [VIRTUAL_SERVICES]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.engine.clock import SystemClock
from chaos.engine.planning import governing_now, make_plan
from chaos.engine.target import EVERY, Found, TargetWatch, Watched
from chaos.lab.api.resources import NAMESPACES, SERVICES
from chaos.model.settings import Settings
from tests.support.api_server import CONTEXT, ApiServer
from tests.support.situations import experiment, service, situation, virtual_service

PLACES = 40
LOOKS = 20


class Counted:
    """An ASGI app that counts the bytes of its answers."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.sent = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counting(message: Any) -> None:
            self.sent += len(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, counting)


class SkippingClock(SystemClock):
    """A sleep takes no time."""

    slept = 0.0

    def now(self) -> float:
        return super().now() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def fill(server: ApiServer, mesh: KubernetesMesh, total: int) -> list[Any]:
    """VirtualServices of other teams, in namespaces of their own."""
    for number in range(PLACES):
        server.store.create(NAMESPACES, {"metadata": {"name": f"team-{number}"}})
    for name in ("inventory-svc", "order-svc"):
        server.store.create(SERVICES, service(name))
    made = []
    for number in range(total):
        one = virtual_service(f"vs-{number}", f"team-{number % PLACES}", hosts=[f"svc-{number}"])
        one["metadata"] = {key: one["metadata"][key] for key in ("name", "namespace")}
        one["spec"]["http"] = [
            {"match": [{"uri": {"prefix": f"/v{n}"}}], "route": [{"destination": {"host": f"svc-{number}"}}]}
            for n in range(3)
        ]
        made.append(mesh.create_virtual_service(one)[0])
    return made


def measure(
    name: str, counted: Counted, disturb: Callable[[int], None], look: Callable[[], None]
) -> tuple[float, float]:
    took, sent = [], []
    for number in range(LOOKS):
        disturb(number)
        before, began = counted.sent, time.perf_counter()
        look()
        took.append(time.perf_counter() - began)
        sent.append(counted.sent - before)
    milliseconds, size = statistics.median(took) * 1000, statistics.mean(sent)
    print(f"{name}: {size / 1024:9.1f} KiB and {milliseconds:7.1f} ms a look")
    return size, milliseconds


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        server = ApiServer(Path(folder))
        mesh = KubernetesMesh(str(server.kubeconfig), CONTEXT)
        others = fill(server, mesh, total)
        server.app = counted = Counted(server.app)
        found = replace(situation(), virtual_services=mesh.virtual_services())
        plan = make_plan(experiment(), [found], Settings(namespaces=("staging",)), run="k3x9q2ab", now=time.time())
        assert plan.allowed, plan.refusals
        written, _ = mesh.create_virtual_service(plan.injections[0].after)
        clock = SkippingClock()
        followed = mesh.follow_virtual_services()
        watch = TargetWatch(mesh, clock, [Watched(experiment(), found, written)], followed)

        def listing() -> None:
            governor = governing_now(mesh, experiment(), found)
            assert governor is not None
            assert governor["metadata"]["uid"] == written["metadata"]["uid"]
            assert mesh.namespace("staging") is not None

        def watching() -> None:
            clock.sleep(EVERY)
            watch.look()
            while (seen := watch.look()) is None:
                time.sleep(0.0005)
            assert seen == Found(), seen

        def change(number: int) -> None:
            one = others[number] = dict(others[number])
            one["metadata"] = {**one["metadata"], "labels": {"looked": f"{time.time():.6f}".replace(".", "-")}}
            others[number] = mesh.replace_virtual_service(one)[0]

        watching()  # the first list
        print(f"{total} VirtualServices in {PLACES} namespaces")
        for mesh_is, disturb in (("quiet mesh", lambda _: None), ("busy mesh ", change)):
            size, took = measure(f"{mesh_is}, listed ", counted, disturb, listing)
            less, faster = measure(f"{mesh_is}, watched", counted, disturb, watching)
            print(f"{mesh_is}: {size / less:.0f} times fewer bytes, {took / faster:.0f} times faster")
        followed.stop()
        server.stop()


if __name__ == "__main__":
    main()
