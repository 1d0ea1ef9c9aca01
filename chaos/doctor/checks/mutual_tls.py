"""Which mutual TLS holds where, and does anything contradict it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok
from chaos.errors import MeshError
from chaos.istio.hosts import resolve_host, service_of
from chaos.istio.peer_authentication import Mode, mode_of
from chaos.ports import Object


def mutual_tls_agrees(examined: Examined) -> Iterator[Finding]:
    """No client is told to speak plaintext to a namespace that refuses it."""
    root = examined.settings.root_namespace
    of_root = _of_root(examined, root)
    policies = [*examined.objects("PeerAuthentication"), *(of_root or ())]

    def mode_in(namespace: str, inherited: Mode = "PERMISSIVE") -> Mode:
        """That of the workloads for which no policy is meant in particular."""
        return mode_of(policies, namespace=namespace, labels={}, root=root, inherited=inherited)

    strict = set()
    for name in examined.namespaces:
        mode = mode_in(name)
        if mode == "STRICT":
            strict.add(name)
        meaning = {
            "STRICT": "plaintext is refused", "PERMISSIVE": "plaintext is accepted, too", "DISABLE": "all is plaintext",
        }[mode]  # fmt: skip
        told = (
            f" (unless a PeerAuthentication in {root} says otherwise, which may not be read)"
            if of_root is None and mode_in(name, "STRICT") != mode_in(name, "DISABLE")
            else ""
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
