"""The state of a lab's parts, from inside its supervisor: whether they are ready and run, and what their Envoys report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import httpx

from chaos.errors import LabError
from chaos.istio.hosts import service_fqdn
from chaos.istio.proxy import CONTAINER
from chaos.lab.api.errors import ApiError
from chaos.lab.api.execute import ExecResult
from chaos.lab.api.logs import Log
from chaos.lab.api.resources import ENDPOINTS, PODS, SERVICES
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validation, Validator
from chaos.lab.containers.container import Container
from chaos.lab.controller import Controller
from chaos.lab.istio.controlplane import ControlPlane
from chaos.lab.istio.refusals import words_of
from chaos.lab.pods import PodRunner
from chaos.lab.processes import Child, tail
from chaos.lab.running_pod import RunningPod
from chaos.lab.status import is_ready

_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127
_LOG_LINES: Final = 200
"""Last lines of an Envoy's log that are searched for the reason of a rejection."""


async def wait_for_pods(
    store: Store, pods: PodRunner, controller: Controller, *, deadline: float, say: Callable[[str], None]
) -> None:
    """Returns when every pod is ready; raises ``LabError`` for one that can't be, or at the deadline."""
    loop = asyncio.get_running_loop()
    controller.settle()  # the pods of what was loaded exist from here on
    said = -1
    while True:
        all_pods = store.list(PODS)
        ready = sum(map(is_ready, all_pods))
        for pod in pods.pods:
            if pod.problem:
                raise LabError(f"pod {pod.namespace}/{pod.name}: {pod.problem}", hint=pod.hint)
        stuck = [(pod, why) for pod in pods.pods if pod.container is not None and (why := pod.container.stuck)]
        if stuck and ready + len(stuck) == len(all_pods):  # nobody comes any more for whom they might wait
            raise LabError("\n".join(f"pod {pod.namespace}/{pod.name}: {why}" for pod, why in stuck))
        if ready == len(all_pods):
            controller.settle()  # a StatefulSet makes its next pod when the one before it is ready
            if len(store.list(PODS)) == ready:
                return
            continue
        if ready != said:
            say(f"{ready} of {len(all_pods)} pods are ready")
            said = ready
        if loop.time() > deadline:
            waiting = [pod for pod in pods.pods if not pod.ready]
            words = [f"{pod.name}: {pod.container.words()}" for pod in waiting if pod.container is not None]
            names = ", ".join(pod.name for pod in waiting)
            raise LabError("\n".join((f"these pods were not ready in time: {names}", *words)))
        await asyncio.sleep(0.02)


async def wait_for_routes(store: Store, pods: PodRunner, *, deadline: float) -> None:
    """Returns when every Envoy knows every endpoint; raises ``LabError`` at the deadline."""
    loop = asyncio.get_running_loop()
    left = pods.pods
    while left:
        await asyncio.sleep(0.05)
        expected = list(_expected_hosts(store))
        lacking = [pod for pod in left if pod.envoy is not None and await _lacks(pods, pod, expected)]
        if lacking and loop.time() > deadline:
            lacks = await _lacks(pods, lacking[0], expected)
            raise LabError(f"the Envoy of {lacking[0].name} did not get its endpoints in time, such as {lacks[:2]}")
        left = lacking


def entries_of(store: Store, namespaces: Sequence[str], *, required: bool = True) -> dict[str, str]:
    """The URL of each namespace's ingress gateway; where it isn't required, of those that have one."""
    entries: dict[str, str] = {}
    for namespace in namespaces:
        for service in store.list(SERVICES, namespace):
            for ingress in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
                entries.setdefault(namespace, f"http://{ingress['ip']}:{_target(store, service)}")
        if namespace not in entries and required:
            raise LabError(f"the namespace {namespace} has no Service of type LoadBalancer with a ready pod")
    return entries


def _target(store: Store, service: Mapping[str, Any]) -> int:
    """The address of a Service's first port: the lab's load balancer is the pod itself."""
    meta, port = service["metadata"], service["spec"]["ports"][0]
    endpoints = store.find(ENDPOINTS, meta["namespace"], meta["name"]) or {}
    for subset in endpoints.get("subsets") or ():
        for own in subset.get("ports") or ():
            if own.get("name", "") == port.get("name", "") and subset.get("addresses"):
                return int(own["port"])
    return int(port["port"])


def parts_of(
    prometheus: Child, apps: Child, pods: PodRunner, control_plane: ControlPlane, *, ended: Mapping[str, str]
) -> Iterable[Mapping[str, Any]]:
    """Every part but the supervisor itself, for ``status``; ``ended`` says why tasks of the supervisor have ended."""
    inside = {"Kubernetes API": "", "control plane": _said(control_plane.stats()), "controllers": ""}
    for name, detail in inside.items():
        yield {"name": name, "pid": None, "alive": name not in ended, "detail": ended.get(name, detail)}
    refused = list(refusals_of(control_plane, pods))
    if refused:
        yield {"name": "configuration", "pid": None, "alive": False, "detail": "; ".join(refused)}
    for child in (prometheus, apps):
        yield _part(child.name, child)
    for pod in pods.pods:
        if pod.envoy is not None:
            yield _part(pod.envoy.name, pod.envoy, problem=pod.problem if pod.envoy.alive else "")
        if pod.container is not None and pod.container.child is not None:
            yield _process(pod.container, pod.container.child)
        elif pod.envoy is None and pod.problem:
            name = f"pod {pod.namespace}/{pod.name}"
            yield {"name": name, "pid": None, "alive": False, "detail": pod.problem}


def refusals_of(control_plane: ControlPlane, pods: PodRunner) -> Iterable[str]:
    """Configurations that Envoys rejected and that nothing valid has replaced since: which, of which objects, and why."""
    for (kind, objects), proxies in control_plane.refusals().items():
        first, others = proxies[0], len(proxies) - 1
        running = pods.find(first.namespace, first.pod)
        words = words_of(tail(running.envoy.log, lines=_LOG_LINES)) if running and running.envoy else ""
        who = f"the Envoy of {first.namespace}/{first.pod}{f', and those of {others} more pods,' if others else ''}"
        yield f"{who} rejected the newest {kind} and keeps the one before; correct or delete {', '.join(objects)}{f': {words}' if words else ''}"


def warning_of_refusals(validate: Validator, refusals: Callable[[], Iterable[str]]) -> Validator:
    """A kind's validation, with a warning as long as Envoys refuse what was written before."""

    def validated(obj: dict[str, Any]) -> Validation:
        found = validate(obj)
        return replace(found, warnings=(*found.warnings, *refusals())) if found.accepted else found

    return validated


async def exec_in_proxy(
    pods: PodRunner, answering: asyncio.Event, namespace: str, pod: str, container: str, argv: list[str]
) -> ExecResult:
    """What ``kubectl exec <pod> -c istio-proxy -- pilot-agent request GET <path>`` prints; nothing else can be run.

    Hangs while it is not ``answering``.
    """
    await answering.wait()
    running = pods.find(namespace, pod)
    if running is None or running.envoy is None or container not in (CONTAINER, ""):
        return _refused(
            f"the lab runs commands in the container {CONTAINER} only, not in {container!r} of {pod}",
            _NOT_EXECUTABLE,
        )
    match argv:
        case ["pilot-agent", "request", ("GET" | "POST") as method, path]:
            pass
        case ["pilot-agent", *_]:
            return _refused("the lab knows `pilot-agent request GET|POST <path>` only", _NOT_EXECUTABLE)
        case _:
            command = argv[0] if argv else "(no command)"
            return _refused(
                f"{command}: not found; the lab knows `pilot-agent request GET|POST <path>` only", _NOT_FOUND
            )
    try:
        answer = await pods.admin(running, path, method=method)
    except httpx.TransportError as error:
        return _refused(f"Envoy's admin interface does not answer: {error or type(error).__name__}", 1)
    if answer.status_code != 200:
        return _refused(f"Envoy's admin interface answered {answer.status_code}: {answer.text.strip()}", 1)
    return ExecResult(stdout=answer.content)


def log_of(pods: PodRunner, namespace: str, pod: str, container: str, previous: bool) -> Log:  # noqa: FBT001
    """What ``kubectl logs`` prints: Envoy's own log for the proxy, that of the user's process, or a line about the stand-in.

    Raises:
        ApiError: There is no such container, or no run of it before the present one.
    """
    running = pods.find(namespace, pod)
    if running is None:
        raise ApiError(404, "NotFound", f'pods "{pod}" not found')
    if container == CONTAINER or (not running.ports and running.envoy is not None):
        return _written(running.envoy, pod, container, previous=previous)
    if running.container is not None:
        process = running.container
        if not previous:
            return Log(process.log, growing=lambda: process.alive)
        if process.previous_log is not None:
            return Log(process.previous_log)
        raise _no_previous(pod, container)
    return Log(
        text=f"stand-in of the lab for {running.app or pod}, on {running.ip}, ports {', '.join(map(str, running.ports))}\n"
    )


def _written(child: Child | None, pod: str, container: str, *, previous: bool) -> Log:
    if previous:
        raise _no_previous(pod, container)
    return Log(child.log, growing=lambda: child.alive) if child is not None else Log()


def _no_previous(pod: str, container: str) -> ApiError:
    return ApiError(400, "BadRequest", f'previous terminated container "{container}" in pod "{pod}" not found')


def _expected_hosts(store: Store) -> Iterable[str]:
    """The lines that every Envoy's ``/clusters`` must have: one for each ready endpoint of each Service's port."""
    for service in store.list(SERVICES):
        meta = service["metadata"]
        endpoints = store.find(ENDPOINTS, meta["namespace"], meta["name"]) or {}
        for port in service["spec"].get("ports") or ():
            cluster = f"outbound|{port['port']}||{service_fqdn(meta['name'], meta['namespace'])}"
            for subset in endpoints.get("subsets") or ():
                for own in subset.get("ports") or ():
                    if own.get("name") == port.get("name"):
                        for address in subset.get("addresses") or ():
                            yield f"{cluster}::{address['ip']}:{own['port']}::health_flags::healthy"


async def _lacks(pods: PodRunner, pod: RunningPod, expected: Sequence[str]) -> list[str]:
    try:
        known = set((await pods.admin(pod, "clusters")).text.splitlines())
    except httpx.TransportError:
        return list(expected)
    return [line for line in expected if line not in known]


def _part(name: str, child: Child, *, problem: str = "") -> dict[str, Any]:
    alive = child.alive and not problem
    return {"name": name, "pid": child.pid, "alive": alive, "detail": "" if alive else problem or child.why()}


def _process(container: Container, child: Child) -> dict[str, Any]:
    """A process of the user's; if it is not ready, that is what the user tests, and no defect of the lab."""
    detail = "" if container.ready else f"not ready, {container.restarts} restarts; kubectl logs shows more"
    return {"name": child.name, "pid": child.pid if child.alive else None, "alive": True, "detail": detail}


def _said(stats: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in stats.items())


def _refused(message: str, exit_code: int) -> ExecResult:
    return ExecResult(stderr=f"{message}\n".encode(), exit_code=exit_code)
