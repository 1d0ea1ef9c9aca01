"""Names of Gateways as VirtualServices write them, and hosts as Gateways do."""

from __future__ import annotations

from chaos.istio.hosts import within


def gateway_name(written: str, namespace: str) -> str:
    """``namespace/name`` of a Gateway that an object of this namespace names (istiod ``config.go`` resolveGatewayName).

    Short names and ``./name`` are of the object's own namespace; ``name.namespace.svc.cluster.local`` is an old form.
    """
    if "/" in written:
        home, _, name = written.partition("/")
        return f"{namespace if home == '.' else home}/{name}"
    name, dot, rest = written.partition(".")
    return f"{rest.partition('.')[0] if dot else namespace}/{name}"


def served_hosts(hosts: list[str], namespace: str) -> list[str]:
    """A server's hosts, without what says nothing: ``./x`` is of the Gateway's namespace, ``*/x`` of any.

    istiod ``pilot/pkg/model/gateway.go`` sanitizeServerHostNamespace.
    """
    found = []
    for entry in hosts:
        home, slash, host = entry.partition("/")
        if not slash:
            found.append(entry)
        elif home == "*":
            if host == "*":
                return ["*"]
            found.append(host)
        else:
            found.append(f"{namespace if home == '.' else home}/{host}")
    return found


def shared_hosts(served: list[str], wanted: list[str], namespace: str) -> list[str]:
    """What a server and a VirtualService of this namespace both have; the narrower where one covers the other.

    istiod ``pkg/config/host`` NamesForNamespace, Intersection.
    """
    found: list[str] = []
    for entry in served:
        home, slash, host = entry.rpartition("/")
        if slash and home not in ("*", namespace):
            continue
        for other in wanted:
            if within(host, other):
                found.append(host)
            elif within(other, host):
                found.append(other)
    return list(dict.fromkeys(found))
