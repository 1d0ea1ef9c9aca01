"""Are the versions supported, and near enough to each other?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, unknown, warning
from chaos.istio.versions import Version, fits, proxies_by_pod, version_of

KUBERNETES: Final = (1, 26)
ISTIO: Final = (1, 22)


def versions_are_supported(examined: Examined) -> Iterator[Finding]:
    """Kubernetes 1.26 and Istio 1.22 at least; a proxy is as old as istiod, or one minor version older."""
    identity = examined.identity
    yield from _at_least("Kubernetes", identity.kubernetes, KUBERNETES)
    if examined.lab:
        yield ok("the lab stands in for Istio, whatever its version")
        return
    istio = version_of(identity.istio)
    if istio is None:
        yield unknown(
            f"Istio's version is not known{f' ({identity.istio})' if identity.istio else ''}",
            f"allow to list deployments in {examined.settings.root_namespace}, or look yourself: istioctl version",
        )
        return
    yield from _at_least("Istio", identity.istio, ISTIO)
    for version, pods in sorted(_of_proxies(examined).items()):
        if not fits(version, istio):
            yield warning(
                f"{len(pods)} proxies are {version[0]}.{version[1]}, and istiod is {identity.istio}: {', '.join(pods[:5])}",
                cause="an upgrade that left out a minor version, or workloads that were not restarted after one"
                if version < istio
                else "proxies that are newer than their control plane",
                hint="upgrade istiod by one minor version at a time, and restart the workloads after each: kubectl rollout restart deployment",
            )


def _at_least(what: str, found: str, wanted: tuple[int, int]) -> Iterator[Finding]:
    version = version_of(found)
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


def _of_proxies(examined: Examined) -> dict[Version, list[str]]:
    """The pods by their proxies' version."""
    found: dict[Version, list[str]] = {}
    for pods in examined.pods.values():
        for name, version in proxies_by_pod(pods).items():
            found.setdefault(version, []).append(name)
    return found
