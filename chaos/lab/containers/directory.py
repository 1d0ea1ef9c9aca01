"""The services that processes know, in a file that all of them read: addresses by name, and who answers at each address.

A file, since who looks up a name must not wait for the supervisor, which computes when configuration is pushed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chaos.istio.ports import declared_protocol, may_be_http

OTHERS: Final = "240.240.0.1"
"""The address of headless Services and of all hosts of ServiceEntries: a sidecar distinguishes them by the request's host (Istio's agent gives such ones too)."""


def described(services: Sequence[Any], entries: Sequence[Any], endpoints: dict[str, list[str]]) -> str:
    """The file's text.

    Args:
        services: All Services.
        entries: All ServiceEntries.
        endpoints: Who answers for a service, as ``name.namespace:port`` → ``ip:port``; and for a pod that has a name, as
            ``pod.name.namespace:port``.
    """
    names: dict[str, list[str]] = {}
    headless: dict[str, set[str]] = {}
    answering: dict[str, list[str]] = {}
    tcp: dict[str, str] = {}
    for service in services:
        meta, spec = service["metadata"], service.get("spec") or {}
        name, address = f"{meta['name']}.{meta['namespace']}", spec.get("clusterIP", "")
        ports = [f"{name}:{port['port']}" for port in spec.get("ports") or ()]
        if address and address != "None":
            names[name] = [address]
            answering.update({f"{address}:{port.rpartition(':')[2]}": endpoints.get(port, []) for port in ports})
            others = [port["port"] for port in spec.get("ports") or () if not may_be_http(declared_protocol(port))]
            tcp.update({f"{address}:{number}": f"{name}:{number}" for number in others})
        elif address:
            for port in ports:
                for at in (one for one in endpoints if one == port or one.endswith(f".{port}")):
                    names[at.rpartition(":")[0]] = [OTHERS]
                    headless.setdefault(at.rpartition(":")[0], set()).update(
                        one.rpartition(":")[0] for one in endpoints[at]
                    )
            names[name] = [OTHERS]
            headless.setdefault(name, set())
    for entry in entries:
        names.update({host.lower(): [OTHERS] for host in (entry.get("spec") or {}).get("hosts") or ()})
    found = {name: sorted(addresses) for name, addresses in headless.items()}
    return json.dumps({"names": names, "headless": found, "endpoints": answering, "tcp": tcp})


class Directory:
    """The file as a process's init reads it: again when it has changed.

    Args:
        path: The file.
        proxied: Whether the process has a sidecar, which is asked for headless services as for all others.
    """

    def __init__(self, path: Path, *, proxied: bool) -> None:
        self._path = path
        self._proxied = proxied
        self._read = 0
        self._content: dict[str, dict[str, Any]] = {}

    def addresses(self, name: str) -> Sequence[str] | None:
        """The addresses of a service ``name.namespace`` or of another host; ``None`` if no such name exists."""
        known = self._now()
        return (known["headless"].get(name) if not self._proxied else None) or known["names"].get(name)

    def endpoints(self, address: str) -> Sequence[str]:
        """Who answers at a service's ``address:port``."""
        found: Sequence[str] = self._now()["endpoints"].get(address, ())
        return found

    def tcp(self, address: str) -> str:
        """The service at an ``address:port`` that does not speak HTTP, as ``name.namespace:port``; else empty."""
        return str(self._now()["tcp"].get(address, ""))

    def _now(self) -> dict[str, dict[str, Any]]:
        changed = self._path.stat().st_mtime_ns
        if changed != self._read:
            self._content = json.loads(self._path.read_text(encoding="utf-8"))
            self._read = changed
        return self._content
