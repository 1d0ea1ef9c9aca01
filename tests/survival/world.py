"""A real API server with a shop, a proxy before it, and runs in processes of their own."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import signal
import subprocess
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Literal

from typer.testing import CliRunner

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.cli import app
from chaos.lab.api.resources import LEASES, SERVICES
from chaos.model.marks import new_run
from tests.support.api_server import CONTEXT, ApiServer, kubeconfig
from tests.support.processes import is_alive
from tests.support.scope import EVERY
from tests.support.waiting import until
from tests.survival import child
from tests.survival.proxy import Proxy

Strategy = Literal["create", "overlay", "patch", "several", "staged"]
STRATEGIES: tuple[Strategy, ...] = ("create", "overlay", "patch")
CASES: tuple[Strategy, ...] = (*STRATEGIES, "several", "staged")
"""And two targets at once, of which one is patched and the other's object created; and a patch in two stages."""
"""Whether to take every combination (`make survive`), or a part of each kind that keeps the usual tests short."""
ONE_OR_ALL: tuple[Strategy, ...] = STRATEGIES if EVERY else ("patch",)
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.survival.child"])


class World:
    """One API server; the target is governed by nothing, by a public VirtualService or by a private one.

    Args:
        folder: For kubeconfigs and records.
        strategy: What a run will have to do.
    """

    def __init__(self, folder: Path, strategy: Strategy) -> None:
        self.folder = folder
        self.strategy = strategy
        self.api = ApiServer(folder)
        self.proxy = Proxy(self.api.address)
        self.kubeconfig = folder / "proxied"
        self.kubeconfig.write_text(kubeconfig(self.proxy.url))
        self.mesh = KubernetesMesh(str(self.api.kubeconfig), CONTEXT)
        self._children: list[ForkServerProcess] = []
        self.sessions: list[subprocess.Popen[bytes]] = []
        """Sessions of pytest, each the leader of its group; those that still live end with the world."""
        for name in ("order-svc", "inventory-svc", "payment-svc"):
            self.api.store.create(
                SERVICES,
                {"metadata": {"name": name, "namespace": "staging"}, "spec": {"ports": [{"name": "http", "port": 80}]}},
            )
        if strategy != "create":
            assert self.apply(base(private=strategy != "overlay")) == http.client.CREATED
        self.before = self.specs()

    def apply(self, obj: dict[str, Any], *, dry_run: bool = False) -> int:
        """What the team gets for a server-side apply of its object."""
        connection = http.client.HTTPConnection(*self.api.address, timeout=10)
        path = f"/apis/networking.istio.io/v1/namespaces/staging/virtualservices/{obj['metadata']['name']}"
        connection.request(
            "PATCH", f"{path}?fieldManager=team{'&dryRun=All' if dry_run else ''}", json.dumps(obj),
            {"Content-Type": "application/apply-patch+yaml"},
        )  # fmt: skip
        status = connection.getresponse().status
        connection.close()
        return status

    def change_conflicts(self) -> bool:
        """Whether a changed object of the team's, applied now, would be a conflict with somebody."""
        if self.strategy == "create":
            return False
        changed = base(private=self.strategy != "overlay")
        changed["spec"]["http"][0]["timeout"] = "7s"
        return self.apply(changed, dry_run=True) == http.client.CONFLICT

    def specs(self) -> str:
        """All VirtualServices and who owns their fields, but for times and versions, as bytes that can be compared."""
        found = [
            {
                "name": vs["metadata"]["name"],
                "labels": vs["metadata"].get("labels"),
                "annotations": vs["metadata"].get("annotations"),
                "spec": vs["spec"],
                "owners": [{**entry, "time": ""} for entry in vs["metadata"].get("managedFields") or ()],
            }
            for vs in self.mesh.virtual_services("staging")
        ]
        return json.dumps(sorted(found, key=lambda one: one["name"]), sort_keys=True)

    def leases(self) -> list[str]:
        return self.api.objects(LEASES)

    def is_clean(self) -> bool:
        return self.specs() == self.before and not self.leases()

    def orders(self, **changes: Any) -> child.Orders:
        run = new_run()
        folder = self.folder / run
        folder.mkdir()
        return child.Orders(
            **{
                "api": self.api.address, "kubeconfig": str(self.kubeconfig), "watched": str(self.api.kubeconfig),
                "folder": str(folder), "run": run, "experiment": child.EXPERIMENTS.get(self.strategy, child.EXPERIMENT), **changes,
            }
        )  # fmt: skip

    def start(self, orders: child.Orders) -> ForkServerProcess:
        process = _FORKS.Process(target=child.main, args=(orders,))
        process.start()
        self._children.append(process)
        return process

    def run(self, orders: child.Orders) -> dict[str, Any]:
        """Runs to the end, whichever it is; what the run said of itself, empty where it was killed."""
        process = self.start(orders)
        process.join(60)
        assert process.exitcode is not None, "the run hangs"
        if not orders.result.exists():
            assert process.exitcode == -signal.SIGKILL, (Path(orders.folder) / "stderr.txt").read_text()
            return {}
        found: dict[str, Any] = json.loads(orders.result.read_text())
        return found

    def chaosctl(self, *arguments: str) -> str:
        """What the command says, in staging."""
        place = ["--namespace", "staging", "--context", CONTEXT, "--kubeconfig", str(self.kubeconfig)]
        done = CliRunner().invoke(app, [*arguments, *place])
        assert done.exit_code == 0, done.output
        return done.output

    def end_watchdog(self, orders: child.Orders) -> None:
        """Waits until a run's watchdog has ended."""
        if orders.pids.exists():
            pid = json.loads(orders.pids.read_text())["watchdog"]
            until(lambda: not is_alive(pid), "the watchdog has ended", within=30)

    def watchdogs(self) -> list[int]:
        """Those of this world's runs that have not ended yet."""
        found = []
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if b"chaos.safety.watchdog" in command.read_bytes():
                    log = (command.parent / "fd" / "2").readlink()
                    if log.is_relative_to(self.folder):
                        found.append(int(command.parent.name))
        return found

    def close(self) -> None:
        for session in self.sessions:
            if session.poll() is None:
                os.killpg(session.pid, signal.SIGKILL)
            session.wait(10)
        for process in self._children:
            if process.is_alive():
                process.kill()
            process.join(10)
            process.close()
        for pid in self.watchdogs():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # its API server ends now, and it would wait for that to come back
        self.proxy.close()
        self.api.stop()


def base(*, private: bool) -> dict[str, Any]:
    """The target's own VirtualService."""
    host = "inventory-svc"
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "inventory", "namespace": "staging", "labels": {"team": "stock"}, "annotations": {"note": "kept"}},
        "spec": {
            "hosts": [host],
            **({"exportTo": ["."]} if private else {}),
            "http": [
                {"match": [{"uri": {"prefix": "/v2"}}], "timeout": "2s", "route": [{"destination": {"host": host}}]},
                {"route": [{"destination": {"host": host}, "weight": 100}]},
            ],
        },
    }  # fmt: skip
