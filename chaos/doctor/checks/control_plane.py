"""Is istiod there, ready, and not short of memory?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, unknown, warning
from chaos.errors import MetricsError
from chaos.values.questions import Pushes

_LATELY: Final = 300.0
_OOM: Final = "OOMKilled"


def istiod_is_well(examined: Examined) -> Iterator[Finding]:
    """By its pods where they may be read, else by its metrics."""
    root = examined.settings.root_namespace
    pods = [pod for pod in examined.of_root or () if (pod["metadata"].get("labels") or {}).get("app") == "istiod"]
    for pod in pods:
        yield from _pod(pod, root)
    if pods:
        return
    try:
        scraped = bool(examined.metrics.samples(Pushes(), seconds=_LATELY))
    except MetricsError:
        scraped = False
    if scraped:
        yield ok("istiod answers to Prometheus")
    elif examined.of_root is None:
        yield unknown(
            f"istiod can't be looked at: no right to list pods in {root}, and no metrics of it",
            f"allow to list pods there, or scrape istiod: kubectl -n {root} get pods -l app=istiod",
        )
    else:
        yield error(
            f"no istiod is found in {root}, neither a pod nor metrics of the last five minutes",
            cause="it is down, or the mesh has another root namespace",
            hint=f"kubectl -n {root} get pods; if it is another namespace, set root_namespace in the settings. Until then "
            "proxies keep their configuration, and no fault would reach them",
        )


def _pod(pod: Mapping[str, Any], root: str) -> Iterator[Finding]:
    name = f"{root}/{pod['metadata']['name']}"
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    killed = [one for one in statuses if _reason(one.get("lastState")) == _OOM or _reason(one.get("state")) == _OOM]
    ready = bool(statuses) and all(one.get("ready") for one in statuses)
    if killed:
        yield (warning if ready else error)(
            f"{name} was killed because it ran out of memory ({max(int(one.get('restartCount') or 0) for one in killed)} restarts)",
            cause="more Services and proxies than its memory limit allows",
            hint="raise the memory limit of istiod; let Sidecars narrow what proxies see, and discoverySelectors what istiod reads",
        )
    if not ready:
        yield error(
            f"{name} is not ready",
            cause="it starts, no node has room for it, it can't reach the API server, or its certificates are not valid",
            hint=f"kubectl -n {root} describe pod {pod['metadata']['name']}; kubectl -n {root} logs {pod['metadata']['name']}",
        )
    elif not killed:
        restarts = sum(int(one.get("restartCount") or 0) for one in statuses)
        if restarts:
            yield warning(
                f"{name} is ready, after {restarts} restarts",
                cause="crashes, or a node that was short of memory",
                hint=f"kubectl -n {root} logs {pod['metadata']['name']} --previous",
            )
        else:
            yield ok(f"{name} is ready")


def _reason(state: Mapping[str, Any] | None) -> str:
    return str(((state or {}).get("terminated") or {}).get("reason") or "")
