"""The parts of one lab, put together: started in their order, watched while they live, ended in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

from chaos.errors import LabError
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.lab import alerts, behaviours, gateways, own_manifests, reading
from chaos.lab.addresses import AddressBlock, listening_socket
from chaos.lab.api import policies
from chaos.lab.api.resources import GATEWAYS, NAMESPACES, PROMETHEUS_RULES
from chaos.lab.api.server import create_app
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validator
from chaos.lab.behaviours import Behaviours
from chaos.lab.control import PREFIX, control_app, either
from chaos.lab.controller import Controller
from chaos.lab.envoys import find_envoy
from chaos.lab.istio import xds
from chaos.lab.istio.controlplane import ControlPlane
from chaos.lab.istio.metrics import metric_relabel_configs
from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.manifests import SHOP, load_shop, load_system
from chaos.lab.needed import find_promtool
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
from chaos.lab.prometheus import Prometheus, Target, wait_until_ready
from chaos.lab.runtime import Runtime
from chaos.lab.serving import Credentials, kubeconfig, server
from chaos.lab.state import LabFiles, LabState, write_atomically
from chaos.lab.wanted import Wanted
from chaos.lab.workloads.host import WorkloadHost

_LOG: Final = logging.getLogger(__name__)
START_LIMIT: Final = 115.0
"""Seconds after which a start that isn't complete is given up, with a word about what is missing."""


class Lab:
    """One lab from its start to its end.

    Args:
        files: Its folder; the lock is held by the caller.
        say: Told of progress, in words.
        wanted: What it runs.

    Raises:
        InputError: The manifests or behaviours can't be read.
    """

    def __init__(
        self,
        files: LabFiles,
        *,
        say: Callable[[str], None],
        wanted: Wanted,
    ) -> None:
        self._files = files
        self._own = (
            reading.read(wanted.manifests, without=wanted.without, strict=wanted.strict) if wanted.manifests else None
        )
        self._behaviours = behaviours.read(wanted.behaviours) if wanted.behaviours else Behaviours()
        self._say = say
        self._tasks: list[asyncio.Task[None]] = []
        self._pods: PodRunner | None = None
        self._ended: dict[str, str] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stack = contextlib.AsyncExitStack()

    @property
    def set_aside(self) -> Sequence[str]:
        """What of the manifests is not loaded, with the reason; a sentence each."""
        return self._own.aside if self._own else ()

    async def __aenter__(self) -> Lab:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start(self) -> LabState:
        """Brings everything up; raises ``LabError`` for what can't be."""
        deadline = asyncio.get_running_loop().time() + START_LIMIT
        self._stack.push_async_callback(self._cancel_tasks)
        block = AddressBlock.claim()
        self._stack.callback(block.release)
        find_envoy()
        # First, since Prometheus looks at its targets 5 s after its own start: all else happens meanwhile.
        prometheus = self._start_prometheus()
        store = Store()
        alerts.follow(store, prometheus.load_rules)
        apps = self._start_apps()

        listening, secured = listening_socket(), listening_socket()
        plain = f"127.0.0.1:{listening.getsockname()[1]}"
        istiod = Target(
            plain, {"job": "istiod", "app": "istiod", "pod": "istiod", "__metrics_path__": f"{PREFIX}metrics"}
        )
        control_plane = ControlPlane(store)
        runtime = Runtime(self._behaviours, store, self._files.directory)
        self._pods = pods = PodRunner(
            store,
            block=block,
            control_plane=control_plane,
            xds=("127.0.0.1", listening.getsockname()[1]),
            apps=apps,
            runtime=runtime,
            directory=self._files.directory,
            on_targets=lambda targets: prometheus.scrape([istiod, *targets]),
        )
        self._stack.push_async_callback(pods.stop)
        self._stack.callback(control_plane.discovery.close)

        def on_endpoints(endpoints: dict[str, list[str]]) -> None:
            apps.learn(endpoints)
            runtime.learn(endpoints)

        controller = Controller(store, on_endpoints=on_endpoints)
        validators = _validators(store, control_plane, pods)
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
        self._task(server(application, credentials=credentials).serve(sockets=[secured]), "Kubernetes API (TLS)")
        self._task(control_plane.run(), "control plane")
        self._task(controller.run(), "controllers")

        namespaces = self._load(store, validators)
        self._say("starting the proxies")
        await self._unless_failed(wait_for_pods(store, pods, controller, deadline=deadline, say=self._say))
        self._say("waiting for routes and endpoints in every proxy")
        await self._unless_failed(wait_for_routes(store, pods, deadline=deadline))
        self._say("waiting for Prometheus' first scrape")
        await self._unless_failed(wait_until_ready(prometheus, deadline=deadline))

        address = f"https://127.0.0.1:{secured.getsockname()[1]}"
        described = kubeconfig(self._files.context, address, credentials, namespace=namespaces[0])
        write_atomically(self._files.kubeconfig, described, private=True)
        state = self._describe(store, api=f"http://{plain}", prometheus=prometheus.url, namespaces=namespaces)
        self._files.write_state(state)
        return state

    def _start_prometheus(self) -> Prometheus:
        prometheus = Prometheus(
            self._files.directory / "prometheus",
            log=self._files.logs / "prometheus.log",
            metric_relabel_configs=metric_relabel_configs(),
            on_exit=self._part_died,
        )
        self._stack.push_async_callback(_end, prometheus.child)
        prometheus.start()
        return prometheus

    def _start_apps(self) -> WorkloadHost:
        apps = WorkloadHost(log=self._files.logs / "apps.log", env=_python_environment(), on_exit=self._apps_died)
        self._stack.push_async_callback(_end, apps.child)
        self._stack.callback(apps.kill)
        apps.start()
        return apps

    def _load(self, store: Store, validators: Mapping[str, Validator]) -> tuple[str, ...]:
        """What runs in the lab; its namespaces."""
        load_system(store)
        if self._own:
            return own_manifests.load(store, validators, self._own.documents, self._behaviours)
        load_shop(store, validators)
        return SHOP

    def _describe(self, store: Store, *, api: str, prometheus: str, namespaces: tuple[str, ...]) -> LabState:
        if self._own:
            entries = entries_of(store, (*namespaces, ROOT_NAMESPACE), required=False)
        else:
            entries = entries_of(store, SHOP)
        return LabState(
            name=self._files.name,
            kubeconfig=str(self._files.kubeconfig),
            context=self._files.context,
            api=api,
            prometheus=prometheus,
            entry=next((entries[name] for name in (*namespaces, *entries) if name in entries), ""),
            entries=entries,
            namespaces=namespaces,
            staging=tuple(name for name in namespaces if _is_staging(store, name)),
            pid=os.getpid(),
            started=start_time(os.getpid()) or 0,
            directory=str(self._files.directory),
        )

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


def _validators(store: Store, control_plane: ControlPlane, pods: PodRunner) -> Mapping[str, Validator]:
    """What each kind of object has to pass; whoever writes one of Istio's is told what Envoys refuse meanwhile."""
    refusals = partial(refusals_of, control_plane, pods)
    of_istio = {**VALIDATORS, GATEWAYS.kind: gateways.validator(store)}
    return {
        **{kind: warning_of_refusals(validate, refusals) for kind, validate in of_istio.items()},
        **policies.VALIDATORS,
        PROMETHEUS_RULES.kind: alerts.validator(find_promtool()),
    }


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
