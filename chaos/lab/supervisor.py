"""The process that owns a lab: ``python -m chaos.lab.supervisor --name default``.

One event loop holds the Kubernetes API, the control plane, the controllers and the node; Envoys, Prometheus and the
stand-ins are its children, which the kernel kills when it dies. It ends by SIGTERM or SIGINT, or with its owner.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from chaos.errors import HarnessError, LabError
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.lab import alerts, gateways, own_manifests
from chaos.lab.addresses import AddressBlock, listening_socket
from chaos.lab.api import policies
from chaos.lab.api.resources import GATEWAYS, NAMESPACES, PROMETHEUS_RULES
from chaos.lab.api.server import create_app
from chaos.lab.api.store import Store
from chaos.lab.control import PREFIX, control_app, either
from chaos.lab.controller import Controller
from chaos.lab.envoys import find_envoy
from chaos.lab.istio import xds
from chaos.lab.istio.controlplane import ControlPlane
from chaos.lab.istio.metrics import metric_relabel_configs
from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.manifests import SHOP, load_shop, load_system
from chaos.lab.parts import (
    entries_of,
    exec_in_proxy,
    log_of,
    parts_of,
    refusals_of,
    wait_for_pods,
    wait_for_routes,
    warning_of_refusals,
)
from chaos.lab.pods import PodRunner
from chaos.lab.processes import Child, start_time
from chaos.lab.prometheus import Prometheus, Target, find_binary, find_promtool, wait_until_ready
from chaos.lab.serving import Credentials, kubeconfig, server
from chaos.lab.state import LabFiles, LabState, SupervisorLock, write_atomically
from chaos.lab.workloads.host import WorkloadHost

_LOG: Final = logging.getLogger("chaos.lab")
START_LIMIT: Final = 115.0
"""Seconds after which a start that isn't complete is given up, with a word about what is missing."""
Report = Callable[[dict[str, Any]], None]


class Supervisor:
    """One lab from its start to its end.

    Args:
        files: Its folder; the lock is held by the caller.
        attached: Whether it ends with its owner.
        report: Told of progress, in words.
        manifests: Files and folders to load instead of the shop.
        behaviours: What the stand-ins for them do.

    Raises:
        InputError: The manifests or behaviours can't be read.
    """

    def __init__(
        self,
        files: LabFiles,
        *,
        attached: bool,
        report: Report,
        manifests: Sequence[Path] = (),
        behaviours: Path | None = None,
    ) -> None:
        self._files = files
        self._documents = own_manifests.read(manifests) if manifests else []
        self._behaviours = own_manifests.read_behaviours(behaviours) if behaviours else {}
        self._attached = attached
        self._report = report
        self._tasks: list[asyncio.Task[None]] = []
        self._pods: PodRunner | None = None
        self._ended: dict[str, str] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Supervisor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start(self) -> LabState:
        """Brings everything up; raises ``LabError`` for what can't be."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_LIMIT
        self._stack.push_async_callback(self._cancel_tasks)

        block = AddressBlock.claim()
        self._stack.callback(block.release)
        find_envoy()
        # First, since Prometheus looks at its targets 5 s after its own start: all else happens meanwhile.
        prometheus = Prometheus(
            self._files.directory / "prometheus",
            log=self._files.logs / "prometheus.log",
            metric_relabel_configs=metric_relabel_configs(),
            on_exit=self._part_died,
        )
        self._stack.push_async_callback(_end, prometheus.child)
        prometheus.start()

        store = Store()
        alerts.follow(store, prometheus.load_rules)
        apps = WorkloadHost(log=self._files.logs / "apps.log", env=_python_environment(), on_exit=self._apps_died)
        self._stack.push_async_callback(_end, apps.child)
        self._stack.callback(apps.kill)
        apps.start()

        listening = listening_socket()
        api = f"http://127.0.0.1:{listening.getsockname()[1]}"
        supervisor_target = Target(
            api.removeprefix("http://"), {"job": "istiod", "app": "istiod", "__metrics_path__": "/lab/metrics"}
        )
        control_plane = ControlPlane(store)
        self._pods = pods = PodRunner(
            store,
            block=block,
            control_plane=control_plane,
            xds=("127.0.0.1", listening.getsockname()[1]),
            apps=apps,
            directory=self._files.directory,
            on_targets=lambda targets: prometheus.scrape([supervisor_target, *targets]),
        )
        refusals = partial(refusals_of, control_plane, pods)
        of_istio = {**VALIDATORS, GATEWAYS.kind: gateways.validator(store)}
        validators = {
            **{kind: warning_of_refusals(validate, refusals) for kind, validate in of_istio.items()},
            **policies.VALIDATORS,
            PROMETHEUS_RULES.kind: alerts.validator(find_promtool()),
        }
        self._stack.push_async_callback(pods.stop)
        self._stack.callback(control_plane.discovery.close)
        controller = Controller(store, on_endpoints=apps.learn)

        answering = asyncio.Event()
        answering.set()
        control = control_app(
            parts=lambda: parts_of(prometheus.child, apps.child, pods, control_plane, ended=self._ended),
            control=control_plane,
            answering=answering,
        )
        credentials = Credentials(self._files.directory / "pki")
        application = create_app(
            store,
            validators=validators,
            exec_handler=partial(exec_in_proxy, pods, answering),
            log_handler=partial(log_of, pods),
            administrators=[credentials.token],
        )
        inside = either({PREFIX: control, xds.PREFIX: control_plane.discovery.app()}, application)
        self._task(server(inside).serve(sockets=[listening]), "Kubernetes API")
        secured = listening_socket()
        secured_api = f"https://127.0.0.1:{secured.getsockname()[1]}"
        self._task(server(application, credentials=credentials).serve(sockets=[secured]), "Kubernetes API (TLS)")
        self._task(control_plane.run(), "control plane")
        self._task(controller.run(), "controllers")

        load_system(store)
        namespaces: tuple[str, ...] = SHOP
        if self._documents:
            namespaces = own_manifests.load(store, validators, self._documents, self._behaviours)
        else:
            load_shop(store, validators)
        self._say("starting the proxies")
        await self._unless_failed(wait_for_pods(store, pods, controller, deadline=deadline, say=self._say))
        self._say("waiting for routes and endpoints in every proxy")
        await self._unless_failed(wait_for_routes(store, pods, deadline=deadline))
        self._say("waiting for Prometheus' first scrape")
        await self._unless_failed(wait_until_ready(prometheus, deadline=deadline))

        described = kubeconfig(self._files.context, secured_api, credentials, namespace=namespaces[0])
        write_atomically(self._files.kubeconfig, described, private=True)
        if self._documents:
            entries = entries_of(store, (*namespaces, ROOT_NAMESPACE), required=False)
        else:
            entries = entries_of(store, SHOP)
        state = self._describe(
            api=api,
            prometheus=prometheus.url,
            entries=entries,
            namespaces=namespaces,
            staging=tuple(name for name in namespaces if _is_staging(store, name)),
        )
        self._files.write_state(state)
        return state

    def _describe(
        self,
        *,
        api: str,
        prometheus: str,
        entries: dict[str, str],
        namespaces: tuple[str, ...],
        staging: tuple[str, ...],
    ) -> LabState:
        return LabState(
            name=self._files.name,
            kubeconfig=str(self._files.kubeconfig),
            context=self._files.context,
            api=api,
            prometheus=prometheus,
            entry=next((entries[name] for name in (*namespaces, *entries) if name in entries), ""),
            entries=entries,
            namespaces=namespaces,
            staging=staging,
            pid=os.getpid(),
            started=start_time(os.getpid()) or 0,
            attached=self._attached,
            directory=str(self._files.directory),
        )

    def _say(self, progress: str) -> None:
        self._report({"progress": progress})

    def _task(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(work, name=f"lab: {what}")
        task.add_done_callback(lambda done: self._task_ended(done, what))
        self._tasks.append(task)

    def _task_ended(self, task: asyncio.Task[None], what: str) -> None:
        if task.cancelled():
            return
        error = task.exception()
        _LOG.error("%s ended", what, exc_info=error)
        self._ended[what] = f"ended: {error!r}; see {self._files.log}"
        self._fail(LabError(f"the lab's {what} ended: {error!r}"))

    def _part_died(self, child: Child) -> None:
        _LOG.error("%s", f"{child.name} died: {child.why()}")
        self._fail(LabError(f"{child.name} died: {child.why()}"))

    def _apps_died(self, child: Child) -> None:
        self._part_died(child)
        if self._pods is not None:
            self._pods.apps_died(child)

    def _fail(self, error: LabError) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # seen: after the start, `status` tells it

    async def _unless_failed(self, work: Coroutine[Any, Any, None]) -> None:
        """Awaits a step of the start, but no longer than all parts live."""
        task = asyncio.create_task(work)
        failure = self._failure
        try:
            await asyncio.wait({task, failure}, return_when=asyncio.FIRST_COMPLETED)
            if failure.done():
                failure.result()
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _is_staging(store: Store, namespace: str) -> bool:
    found = store.find(NAMESPACES, None, namespace)
    return found is not None and (found["metadata"].get("labels") or {}).get("env") == "staging"


async def _end(child: Child) -> None:
    if child.alive:
        child.kill()
        await child.wait()


def _python_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


async def supervise(
    files: LabFiles,
    *,
    owner: int | None,
    report: Report,
    on_ready: Callable[[], None],
    manifests: Sequence[Path] = (),
    behaviours: Path | None = None,
) -> int:
    """Runs a lab until it is told to end or its owner ends; the process's exit code."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if owner is not None:
        loop.add_reader(owner, stop.set)  # a pidfd is readable once its process has ended
    stopped = asyncio.create_task(stop.wait())
    made = Supervisor(files, attached=owner is not None, report=report, manifests=manifests, behaviours=behaviours)
    async with made as supervisor:
        starting = asyncio.create_task(supervisor.start())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            report({"error": "the lab was told to end while it was starting"})
            return 0
        try:
            state = starting.result()
        except HarnessError as error:
            report({"error": error.message, "hint": error.hint})
            return 1
        report({"ready": state.public()})
        on_ready()
        await stop.wait()
        if owner is not None:
            loop.remove_reader(owner)
        files.state.unlink(missing_ok=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="chaos.lab.supervisor", description="Owns one lab until it is told to end.")
    parser.add_argument("--name", default="default")
    parser.add_argument("--report", action="store_true", help="say progress and outcome on stdout as JSON lines")
    parser.add_argument("--owner", type=int, help="descriptor of a pidfd: end with that process")
    parser.add_argument("--manifests", type=Path, action="append", default=[], help="load these instead of the shop")
    parser.add_argument("--behaviours", type=Path, help="what the stand-ins for them do")
    given = parser.parse_args(argv)
    files = LabFiles.of(given.name)

    def report(said: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()

    lock = SupervisorLock(files.lock)
    if not lock.acquire():
        report({"busy": True})
        return 3
    _clean(files)
    files.lock.write_text(f"{os.getpid()} {start_time(os.getpid())}\n", encoding="ascii")
    files.logs.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=files.log, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )

    def on_ready() -> None:
        if given.report:  # nobody listens any more
            with files.log.open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)

    try:
        find_binary()
        code = asyncio.run(
            supervise(
                files,
                owner=given.owner,
                report=report,
                on_ready=on_ready,
                manifests=given.manifests,
                behaviours=given.behaviours,
            )
        )
    except HarnessError as error:
        report({"error": error.message, "hint": error.hint})
        return 1
    if code == 0:
        files.remove()
    lock.release()
    return code


def _clean(files: LabFiles) -> None:
    """Removes what a killed lab of this name left."""
    for path in files.directory.iterdir():
        if path == files.lock:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
