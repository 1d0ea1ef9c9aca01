"""Are the versions supported, and near enough to each other?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, unknown, warning
from chaos.istio.proxy import proxy_container

KUBERNETES: Final = (1, 26)
ISTIO: Final = (1, 22)
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:[.+-].*)?")


def versions_are_supported(examined: Examined) -> Iterator[Finding]:
    """Kubernetes 1.26 and Istio 1.22 at least; a proxy is as old as istiod, or one minor version older."""
    identity = examined.identity
    yield from _at_least("Kubernetes", identity.kubernetes, KUBERNETES)
    if examined.lab:
        yield ok("the lab stands in for Istio, whatever its version")
        return
    istio = _parsed(identity.istio)
    if istio is None:
        yield unknown(
            f"Istio's version is not known{f' ({identity.istio})' if identity.istio else ''}",
            "allow to list deployments in istio-system, or look yourself: istioctl version",
        )
        return
    yield from _at_least("Istio", identity.istio, ISTIO)
    for version, pods in sorted(_of_proxies(examined).items()):
        away = istio[1] - version[1]
        if not 0 <= away <= 1:
            yield warning(
                f"{len(pods)} proxies are {version[0]}.{version[1]}, and istiod is {identity.istio}: {', '.join(pods[:5])}",
                cause="an upgrade that left out a minor version, or workloads that were not restarted after one"
                if away > 0
                else "proxies that are newer than their control plane",
                hint="upgrade istiod by one minor version at a time, and restart the workloads after each: kubectl rollout restart deployment",
            )


def _at_least(what: str, found: str, wanted: tuple[int, int]) -> Iterator[Finding]:
    version = _parsed(found)
    if version is None:
        yield unknown(f"the version of {what} is not known ({found or 'none'})", "kubectl version; istioctl version")
    elif version < wanted:
        yield error(
            f"{what} is {found}, and at least {wanted[0]}.{wanted[1]} is needed",
            cause="an old cluster",
            hint=f"upgrade {what}, one minor version at a time",
        )
    else:
        yield ok(f"{what} is {found}")


def _parsed(text: str) -> tuple[int, int] | None:
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _of_proxies(examined: Examined) -> dict[tuple[int, int], list[str]]:
    """The pods by their proxies' version, as far as the image's tag tells it."""
    found: dict[tuple[int, int], list[str]] = {}
    for pods in examined.pods.values():
        for pod in pods:
            image = str((proxy_container(pod) or {}).get("image") or "").partition("@")[0]
            version = _parsed(image.rpartition(":")[2])
            if version is not None:
                found.setdefault(version, []).append(pod["metadata"]["name"])
    return found
