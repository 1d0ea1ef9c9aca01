"""What a proxy's own counters say of its connection to istiod.

Of Envoy's stats Istio keeps few (``pkg/bootstrap/config.go``), among them those of the cluster ``xds-grpc``: its agent, which
ends the stream of configuration when it has none to istiod (``pkg/istio-agent/xds_proxy.go``). ``update_rejected`` is counted for
clusters and listeners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

CONNECTED: Final = "cluster.xds-grpc.upstream_rq_active"
"""Streams of configuration: one while there is a connection to istiod."""
STATS: Final = "stats?filter=xds-grpc.upstream_rq_active|update_rejected|memory_allocated"
"""What is asked of a proxy's admin interface."""
_LINE: Final = re.compile(r"^(\S+): (\d+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class ProxyState:
    """One proxy.

    Args:
        connected: Whether it has a connection to istiod; ``None`` if it can't be asked, or does not tell.
        rejected: Configurations that it has rejected since it started.
        memory: Bytes that it has allocated.
    """

    namespace: str
    pod: str
    connected: bool | None = None
    rejected: int = 0
    memory: int = 0

    @property
    def title(self) -> str:
        """``the proxy of staging/reviews-v1-a``."""
        return f"the proxy of {self.namespace}/{self.pod}"

    @classmethod
    def of(cls, namespace: str, pod: str, stats: str | None) -> Self:
        """By what its admin interface prints; ``None``: it can't be asked."""
        if stats is None:
            return cls(namespace=namespace, pod=pod)
        found = {name: int(value) for name, value in _LINE.findall(stats)}
        return cls(
            namespace=namespace,
            pod=pod,
            connected=found[CONNECTED] > 0 if CONNECTED in found else None,
            rejected=sum(value for name, value in found.items() if name.endswith("update_rejected")),
            memory=found.get("server.memory_allocated", 0),
        )
