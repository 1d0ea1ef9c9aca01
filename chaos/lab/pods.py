"""What a node does: runs the processes of every Pod, says in its status how they are, and clears up after it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from chaos.errors import LabError
from chaos.istio.injection import is_injected
from chaos.istio.proxy import CONTAINER, ROUTER, SIDECAR, proxy_container, proxy_role
from chaos.istio.workloads import workload_name
from chaos.lab import envoys, injection
from chaos.lab.addresses import AddressBlock, ports_in_use
from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import NAMESPACES, PODS
from chaos.lab.api.store import Event, Store
from chaos.lab.istio.controlplane import ControlPlane
from chaos.lab.istio.proxy import ADMIN_PORT, OUTBOUND_PORT, STATS_PORT, Proxy
from chaos.lab.processes import Child
from chaos.lab.prometheus import Target
from chaos.lab.running_pod import RunningPod, status_of
from chaos.lab.runtime import Runtime
from chaos.lab.workloads.behaviour import ANNOTATION
from chaos.lab.workloads.host import WorkloadHost

_LOG: Final = logging.getLogger(__name__)
DRAIN: Final = 1.0
"""Seconds that a deleted pod's Envoy goes on, so that callers hear of it before it is gone."""
Object = Mapping[str, Any]


class PodRunner:
    """Runs every Pod of the store.

    Args:
        store: The cluster's objects.
        block: Where pods get their addresses.
        control_plane: What decides the Envoys' configuration.
        xds: Host and port where they ask for it.
        apps: The process of the stand-ins.
        runtime: The processes of the user's.
        directory: The lab's folder.
        on_targets: Told of all scrape targets whenever they change.
    """

    def __init__(
        self,
        store: Store,
        *,
        block: AddressBlock,
        control_plane: ControlPlane,
        xds: tuple[str, int],
        apps: WorkloadHost,
        runtime: Runtime,
        directory: Path,
        on_targets: Callable[[list[Target]], None],
    ) -> None:
        self._store = store
        self._block = block
        self._control_plane = control_plane
        self._xds = xds
        self._apps = apps
        self._runtime = runtime
        self._directory = directory
        self._on_targets = on_targets
        self._binary = envoys.find_envoy()
        self._pods: dict[str, RunningPod] = {}  # by uid
        self._ending: dict[asyncio.Task[None], RunningPod] = {}
        self._slots = asyncio.Semaphore(2 * (os.cpu_count() or 1))
        self._client = httpx.AsyncClient(trust_env=False, timeout=2)
        self._unsubscribe = store.subscribe(self._notice)

    @property
    def pods(self) -> list[RunningPod]:
        """The pods, by namespace and name."""
        return sorted(self._pods.values(), key=lambda pod: (pod.namespace, pod.name))

    def find(self, namespace: str, name: str) -> RunningPod | None:
        """One pod by its name."""
        return next((pod for pod in self._pods.values() if (pod.namespace, pod.name) == (namespace, name)), None)

    async def admin(self, pod: RunningPod, path: str, *, method: str = "GET") -> httpx.Response:
        """The answer of the admin interface of the pod's Envoy; raises ``httpx.TransportError``."""
        return await envoys.ask(self._client, pod.ip, path, method=method)

    def apps_died(self, child: Child) -> None:
        """Marks every pod whose application went with the process of the stand-ins."""
        for pod in self._pods.values():
            if pod.ports and pod.container is None and not pod.problem:
                self._fail(pod, f"the application: {child.ended}", container="app")

    async def stop(self) -> None:
        """Ends every Envoy and returns when all are gone."""
        self._unsubscribe()
        tasks = [pod.task for pod in self._pods.values() if pod.task is not None and not pod.task.done()]
        for task in (*tasks, *self._ending):
            task.cancel()
        pods = list(self._pods.values())
        containers = [asyncio.create_task(pod.container.end(grace=False)) for pod in pods if pod.container is not None]
        await asyncio.gather(*tasks, *self._ending, return_exceptions=True)
        envoys = [pod.envoy for pod in pods if pod.envoy is not None and pod.envoy.alive]
        for envoy in envoys:
            envoy.kill()
        await asyncio.gather(*(envoy.wait() for envoy in envoys), *containers)
        await self._client.aclose()

    # -- noticing -----------------------------------------------------------------------------------------------------

    def _notice(self, event: Event) -> None:
        if event.object["kind"] != "Pod":
            return
        uid = event.object["metadata"]["uid"]
        if event.type == "ADDED":
            self._begin(event.object)
        elif event.type == "DELETED" and uid in self._pods:
            running = self._pods.pop(uid)
            task = asyncio.create_task(self._end(running), name=f"lab: end of pod {uid}")
            self._ending[task] = running
            task.add_done_callback(self._ending.pop)
            self._tell()

    def _begin(self, pod: Object) -> None:
        meta = pod["metadata"]
        labels = meta.get("labels") or {}
        running = RunningPod(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            ip=self._block.pod_address(),
            app=labels.get("app", ""),
            ports=self._runtime.ports(pod),
            proxied=proxy_container(pod) is not None,
        )
        self._pods[running.uid] = running
        self._tell()  # before it runs: Prometheus takes seconds to look at a new target
        running.task = asyncio.create_task(self._start(running), name=f"lab: start of pod {running.name}")

    # -- a pod's life -------------------------------------------------------------------------------------------------

    async def _start(self, running: RunningPod) -> None:
        before = [
            task for task, one in self._ending.items() if (one.namespace, one.name) == (running.namespace, running.name)
        ]
        if before:
            await asyncio.wait(before)  # as on a cluster, a name is free again when its pod is gone
        try:
            async with self._slots:
                pod = self._admit(running)
                self._check_ports(running, pod)
                await self._start_app(running, pod)
                if running.proxy is not None:
                    await self._start_envoy(running, running.proxy)
        except (LabError, ApiError) as error:
            running.hint = error.hint if isinstance(error, LabError) else None
            self._fail(running, error.message)
            return
        if running.container is not None:
            running.container.begin()
        else:
            running.ready = True
            self._write_status(running)
        self._tell()

    def _container_changed(self, running: RunningPod) -> None:
        if running.container is not None and not running.problem:
            running.ready = running.container.ready
            self._write_status(running)

    def _admit(self, running: RunningPod) -> dict[str, Any]:
        """The pod as it is to run: those that nobody placed and injected are so now."""
        pod = self._store.get(PODS, running.namespace, running.name)
        namespace = self._store.get(NAMESPACES, None, running.namespace)
        proxied = is_injected(pod, namespace)
        if proxied or not pod["spec"].get("nodeName"):
            placed = injection.inject(pod, namespace)
            placed["spec"]["nodeName"] = injection.NODE
            pod = self._store.replace(PODS, running.namespace, running.name, placed)
        running.proxied = running.proxied or proxied
        self._write_status(running)
        return pod

    def _check_ports(self, running: RunningPod, pod: Object) -> None:
        wanted = [*running.ports]
        if proxy_container(pod) is not None:
            wanted += [ADMIN_PORT, OUTBOUND_PORT, STATS_PORT]
        taken = ports_in_use(running.ip, wanted)
        if taken:
            raise LabError(
                f"port in use: pod {running.namespace}/{running.name} can't listen on "
                f"{', '.join(f'{running.ip}:{port}' for port in taken)}",
                hint=f"a server on all addresses (0.0.0.0) takes the port from every pod: "
                f"`ss -ltnp 'sport = :{taken[0]}'` names it",
            )

    async def _start_app(self, running: RunningPod, pod: Object) -> None:
        meta = pod["metadata"]
        labels = meta.get("labels") or {}
        role = proxy_role(pod)
        if role not in ("", SIDECAR, ROUTER):
            raise LabError(
                f"pod {running.namespace}/{running.name}: expected the proxy of a sidecar or a gateway (args: proxy sidecar, "
                f"or proxy router), got `proxy {role}`",
                hint="the lab has no ambient mode: leave this workload out",
            )
        inbound: dict[int, int] = {}
        process = self._runtime.process_of(pod)
        if process is not None:
            inbound = self._runtime.inbound(process, running.ip, running.ports, proxied=bool(role))
            running.container = self._runtime.container(
                pod,
                process,
                ip=running.ip,
                inbound=inbound,
                proxied=bool(role),
                changed=partial(self._container_changed, running),
            )
        elif running.ports:
            inbound = await self._apps.add(
                namespace=running.namespace,
                pod=running.name,
                service=running.app or workload_name(pod),
                workload=workload_name(pod),
                version=labels.get("version", ""),
                ip=running.ip,
                proxy=f"{running.ip}:{OUTBOUND_PORT}" if role else None,
                ports=running.ports,
                behaviour=(meta.get("annotations") or {}).get(ANNOTATION),
            )
        if role:
            running.proxy = Proxy(
                pod=running.name,
                namespace=running.namespace,
                kind="router" if role == ROUTER else "sidecar",
                labels=dict(labels),
                workload=workload_name(pod),
                app=running.app,
                version=labels.get("version", ""),
                service_account=pod["spec"].get("serviceAccountName", "default"),
                ip=running.ip,
                inbound=inbound,
                directory=self._directory / "proxies" / f"{running.namespace}-{running.name}",
            )

    async def _start_envoy(self, running: RunningPod, proxy: Proxy) -> None:
        self._control_plane.add_proxy(proxy)
        running.envoy = envoys.start(
            proxy,
            binary=self._binary,
            xds=self._xds,
            log=self._directory / "logs" / f"envoy-{running.namespace}-{running.name}.log",
            on_exit=lambda child: self._fail(running, f"Envoy: {child.ended}", container=CONTAINER),
        )
        await envoys.until_ready(running.envoy, proxy, self._client)

    async def _end(self, running: RunningPod) -> None:
        if running.task is not None:
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)
        envoy, ending = running.envoy, []
        if running.container is not None:
            ending.append(running.container.end(grace=True))
        if envoy is not None and envoy.alive:
            ending.append(asyncio.sleep(DRAIN))
        try:
            await asyncio.gather(*ending)
        finally:
            if envoy is not None and envoy.alive:
                envoy.kill()
                await envoy.wait()
        if running.proxy is not None:
            self._control_plane.remove_proxy(running.proxy)
        self._apps.remove(running.namespace, running.name)
        self._block.release_pod(running.ip)

    def _fail(self, running: RunningPod, problem: str, *, container: str = "") -> None:
        running.problem = problem
        running.ready = False
        _LOG.error("pod %s/%s: %s", running.namespace, running.name, problem)
        if running.uid in self._pods:
            self._write_status(running, failed=container)
            self._tell()

    # -- telling ------------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        self._on_targets(
            [
                Target(
                    f"{pod.ip}:{STATS_PORT}",
                    {"namespace": pod.namespace, "pod": pod.name, "app": pod.app, "job": "istio-proxies"},
                )
                for pod in self.pods
                if pod.proxied and not pod.problem
            ]
        )

    def _write_status(self, running: RunningPod, *, failed: str = "") -> None:
        pod = self._store.find(PODS, running.namespace, running.name)
        if pod is not None and pod["metadata"]["uid"] == running.uid:
            status = status_of(running, pod, failed=failed)
            self._store.replace(PODS, running.namespace, running.name, {"status": status}, status=True)
