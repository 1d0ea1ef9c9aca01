"""Does every proxy have what istiod sent to it? By the proxies' own counters, and by what istiod counts of their answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, unknown, warning
from chaos.engine.rejections import rejected_since

_LATELY: Final = 300.0
_MEMORY: Final = 500_000_000
"""Bytes from which on a proxy's configuration is too large (an alarm of the usual operations)."""


def proxies_are_in_sync(examined: Examined) -> Iterator[Finding]:
    """Each is connected to istiod, rejects nothing, and has a configuration of a usual size."""
    found = examined.proxies
    asked = [one for one in found if one.connected is not None]
    if len(asked) < len(found):
        yield unknown(
            f"{len(found) - len(asked)} of {len(found)} proxies can't be asked: {', '.join(one.pod for one in found if one.connected is None)[:200]}",
            "allow pods/exec in these namespaces (chaosctl manifests rbac), or look yourself: istioctl proxy-status",
        )
    for one in asked:
        if not one.connected:
            yield error(
                f"{one.title} is not connected to istiod",
                cause="istiod is down or can't be reached from the pod (a NetworkPolicy, port 15012), or the proxy's certificate is not valid",
                hint="istioctl proxy-status; restart the pod when istiod is well. Until then the proxy keeps its configuration, and no change reaches it",
            )
        if one.rejected:
            yield warning(
                f"{one.title} has rejected {one.rejected} configurations since it started",
                cause="an EnvoyFilter or a value that this Envoy does not accept; until it is corrected, the proxy keeps its earlier configuration",
                hint=f"kubectl -n {one.namespace} logs {one.pod} -c istio-proxy | grep -i reject; istioctl proxy-status",
            )
        if one.memory > _MEMORY:
            yield warning(
                f"{one.title} uses {one.memory / 1e6:.0f} MB",
                cause="its configuration has all services of the mesh",
                hint="a Sidecar in the namespace that names what its workloads call",
            )
    lately = rejected_since(examined.metrics, examined.metrics.now() - _LATELY)
    if lately:
        counts = ", ".join(f"{count} of {kind or 'unknown type'}" for kind, count in sorted(lately.items()))
        yield warning(
            f"proxies have rejected configurations in the last five minutes, as istiod counts them ({counts}), of any namespace",
            cause="an EnvoyFilter or a value that this Envoy does not accept (rds are routes, which proxies themselves do not count)",
            hint="istioctl proxy-status names the proxies; kubectl -n istio-system logs deploy/istiod | grep -i rejected names the reason",
        )
    well = [one for one in asked if one.connected and not one.rejected and one.memory <= _MEMORY]
    if well:
        yield ok(f"{len(well)} proxies are connected to istiod and have rejected nothing")
