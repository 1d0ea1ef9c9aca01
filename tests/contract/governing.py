"""Who governs which name in a recorded mesh, by the model and by the lab, in the form of the recorded answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaos.istio.governing import Mesh
from chaos.istio.registry import registered
from chaos.lab.istio.translate import translate
from tests.contract.answers import ROOT_NAMESPACE, Proxy, Record, of_kind, proxies
from tests.contract.recorded_mesh import proxy_of, snapshot_of

NOBODY = "default"
CATCH_ALL = "*"
"""Is no name: what a sidecar does with names that it does not know."""


def mesh_of(record: Record, objects: Sequence[Record]) -> Mesh:
    config = record["mesh"]
    return Mesh(
        services=registered(record["services"], of_kind(objects, "ServiceEntry")),
        virtual_services=of_kind(objects, "VirtualService"),
        sidecars=of_kind(objects, "Sidecar"),
        default_export=tuple(config.get("defaultVirtualServiceExportTo") or ("*",)),
        root_namespace=config.get("rootNamespace") or ROOT_NAMESPACE,
    )


def title(obj: Record | None) -> str:
    return "{namespace}/{name}".format(**obj["metadata"]) if obj is not None else NOBODY


def governs(mesh: Mesh, proxy: Proxy, port: int, asked: Mapping[str, str]) -> dict[str, str]:
    """The model's answers, in the form of the recorded ones; absolute names only where those have them."""
    absolute = any(name.endswith(".") for name in asked)
    found = mesh.virtual_hosts(proxy.namespace, proxy.labels, port)
    names = [(name, one.governor) for one in found for name in one.domains]
    return {name: title(governor) for name, governor in names if absolute or not name.endswith(".")}


def differences(mesh: Mesh, record: Record, answers: Sequence[Record]) -> Iterator[str]:
    for proxy, answer in zip(proxies(record), answers, strict=True):
        if proxy.router:
            continue
        for port, recorded in answer["governs"].items():
            asked = {name: governor for name, governor in recorded.items() if name != CATCH_ALL}
            found = governs(mesh, proxy, int(port), asked)
            for name in asked.keys() | found.keys():
                if asked.get(name) != found.get(name):
                    yield (
                        f"{record['id']} {proxy.namespace}/{proxy.name} {name}:{port}: Istio {asked.get(name)}, "
                        f"the model {found.get(name)}"
                    )


def by_the_lab(record: Record, described: Record) -> dict[str, str]:
    """By name as Envoy is told it, the VirtualServices of its routes."""
    routes = translate(proxy_of(described), snapshot_of(record))["routes"]
    return {
        domain: "|".join(dict.fromkeys(map(written_by, host["routes"])))
        for one in routes
        for host in one["virtual_hosts"]
        for domain in host["domains"]
    }


def written_by(route: Record) -> str:
    """The VirtualService that a route comes from, by the metadata that Istio gives it."""
    config = route.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    _, _, rest = config.partition("/namespaces/")
    namespace, _, name = rest.partition("/virtual-service/")
    return f"{namespace}/{name}" if rest else NOBODY
