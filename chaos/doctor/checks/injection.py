"""Has every pod its proxy, and is it ready? Otherwise: ``1/2 Running``, and pods that are older than the label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, warning
from chaos.istio.injection import injecting_revision
from chaos.istio.proxy import CONTAINER, proxy_container


def namespaces_inject(examined: Examined) -> Iterator[Finding]:
    """Each namespace has the label, and each of its pods a proxy."""
    for name in examined.names:
        found = examined.namespaces.get(name)
        if found is None:
            yield error(
                f"there is no namespace {name}", cause="its name is mistyped, or it is another cluster",
                hint="correct namespaces in the settings, or the context",
            )  # fmt: skip
            continue
        pods = examined.pods[name]
        bare = [pod["metadata"]["name"] for pod in pods if proxy_container(pod) is None]
        revision = injecting_revision(found)
        if revision is None and len(bare) == len(pods):
            yield error(
                f"nothing injects proxies into {name}, and none of its {len(pods)} pods has one",
                cause="the namespace lacks the label",
                hint=f"kubectl label namespace {name} istio-injection=enabled (or istio.io/rev=…), then restart its workloads",
            )
        elif bare:
            yield warning(
                f"{len(bare)} of {len(pods)} pods in {name} have no proxy: {', '.join(sorted(bare)[:5])}",
                cause='they started before the namespace had its label, or have the label sidecar.istio.io/inject: "false"',
                hint=f"kubectl -n {name} rollout restart deployment, unless they are meant to be without: what they call feels no fault",
            )
        else:
            yield ok(f"{name} is injected by the revision {revision}; all of its {len(pods)} pods have a proxy" if revision else
                     f"all {len(pods)} pods of {name} have a proxy, by labels of their own")  # fmt: skip


def pods_are_ready(examined: Examined) -> Iterator[Finding]:
    """Every container of every pod is ready."""
    ready = 0
    for name, pods in examined.pods.items():
        for pod in pods:
            waiting = list(_not_ready(pod))
            if waiting:
                yield _told(name, pod, waiting)
            elif not any(_statuses(pod)):
                yield _not_started(name, pod)
            else:
                ready += 1
    if ready:
        yield ok(f"{ready} pods are ready")


def _told(namespace: str, pod: Mapping[str, Any], waiting: list[Mapping[str, Any]]) -> Finding:
    meta, statuses = pod["metadata"], list(_statuses(pod))
    state = f"{len(statuses) - len(waiting)}/{len(statuses)} {(pod.get('status') or {}).get('phase') or ''}".strip()
    names = ", ".join(str(one.get("name")) for one in waiting)
    where = f"{namespace}/{meta['name']}"
    if any(one.get("name") == CONTAINER for one in waiting):
        return error(
            f"{where} is {state}: its proxy is not ready",
            cause="the proxy has no configuration yet, since it does not reach istiod; or istio-init could not set up its iptables",
            hint=f"kubectl -n {namespace} describe pod {meta['name']} (events of istio-init and istio-proxy), then "
            f"kubectl -n {namespace} logs {meta['name']} -c istio-proxy",
        )
    return error(
        f"{where} is {state}: {names} is not ready",
        cause="the application is not ready, so no requests are sent to it: callers get 503 (UH) where no other replica is",
        hint=f"kubectl -n {namespace} describe pod {meta['name']}; with strict mutual TLS, probes must go through the agent (rewriteAppHTTPProbers)",
    )


def _not_started(namespace: str, pod: Mapping[str, Any]) -> Finding:
    """Before a node has the pod, nothing is said of its containers."""
    name = pod["metadata"]["name"]
    return error(
        f"{namespace}/{name} is {(pod.get('status') or {}).get('phase') or 'Pending'}: none of its containers was started",
        cause="no node has room for it, or may take it",
        hint=f"kubectl -n {namespace} describe pod {name} (its events)",
    )


def _statuses(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status") or {}
    yield from status.get("containerStatuses") or ()
    yield from (one for one in status.get("initContainerStatuses") or () if one.get("name") == CONTAINER)


def _not_ready(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (one for one in _statuses(pod) if not one.get("ready"))
