"""Which mutual TLS holds where, and does anything contradict it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok
from chaos.errors import MeshError
from chaos.istio.hosts import resolve_host, service_of
from chaos.ports import Object

_DEFAULT: Final = "PERMISSIVE"


def mutual_tls_agrees(examined: Examined) -> Iterator[Finding]:
    """No client is told to speak plaintext to a namespace that refuses it."""
    root = examined.settings.root_namespace
    of_root = _of_root(examined, root)
    everywhere = _mode(of_root)
    strict = set()
    for name in examined.namespaces:
        own = _mode([one for one in examined.objects("PeerAuthentication") if one["metadata"]["namespace"] == name])
        mode = own or everywhere or _DEFAULT
        if mode == "STRICT":
            strict.add(name)
        meaning = {
            "STRICT": "plaintext is refused", "PERMISSIVE": "plaintext is accepted, too", "DISABLE": "all is plaintext",
        }.get(mode, mode)  # fmt: skip
        told = (
            ""
            if own or of_root is not None
            else f" (unless a PeerAuthentication in {root} says otherwise, which may not be read)"
        )
        yield ok(f"mutual TLS in {name} is {mode}: {meaning}{told}")
    for rule in examined.objects("DestinationRule"):
        meta = rule["metadata"]
        wanted = ((rule["spec"].get("trafficPolicy") or {}).get("tls") or {}).get("mode")
        home = service_of(resolve_host(str(rule["spec"].get("host", "")), meta["namespace"]))
        if wanted == "DISABLE" and home is not None and home[0] in strict:
            yield error(
                f"DestinationRule {meta['namespace']}/{meta['name']} makes clients speak plaintext to {home[0]}/{home[1]}, which "
                "refuses it: they get 503 (UF, UC)",
                cause="tls.mode DISABLE of the client against STRICT of the server",
                hint="take tls out of the DestinationRule, so that Istio chooses, or write ISTIO_MUTUAL",
            )


def _of_root(examined: Examined, root: str) -> Sequence[Object] | None:
    try:
        return examined.mesh.istio_objects("PeerAuthentication", root)
    except MeshError as failed:
        if failed.status not in (403, 404):
            raise
        return None


def _mode(policies: Sequence[Object] | None) -> str | None:
    """That of the policy for all workloads of a namespace."""
    modes = [
        ((one.get("spec") or {}).get("mtls") or {}).get("mode")
        for one in policies or ()
        if not (one.get("spec") or {}).get("selector")
    ]
    return next((str(mode) for mode in modes if mode and mode != "UNSET"), None)
