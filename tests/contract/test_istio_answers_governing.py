"""Who governs which name for whom, as Istio's own code answered it: recorded meshes, every proxy, port and name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaos.istio.governing import Mesh
from chaos.istio.registry import registered
from chaos.lab.istio.translate import translate
from tests.contract.answers import ROOT_NAMESPACE, Proxy, Record, all_of, files, minimal, needed, of_kind, proxies
from tests.contract.recorded_mesh import proxy_of, snapshot_of

MINIMAL = "minimal/cases.yaml"
MESHES = files("who-governs")
SOME = 75
"""Meshes of each file that are asked about where not all are."""
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


@needed("who-governs")
def test_who_governs() -> None:
    wrong: list[str] = []
    for record in all_of(MESHES, some=SOME):
        wrong += differences(mesh_of(record, record["configs"]), record, record["istio"])
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])


@needed("who-governs")
def test_which_virtual_services_are_seen_in_which_order() -> None:
    wrong: list[str] = []
    for record in all_of(MESHES, some=SOME):
        mesh = mesh_of(record, record["configs"])
        for proxy, answer in zip(proxies(record), record["istio"], strict=True):
            for port, seen in answer["seen"].items():
                listener = mesh.listener(proxy.namespace, proxy.labels, int(port))
                found = [title(vs) for vs in listener.virtual_services] if listener else []
                if found != seen:
                    wrong.append(
                        f"{record['id']} {proxy.namespace}/{proxy.name} {port}: Istio {seen}, the model {found}"
                    )
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])


@needed(MINIMAL)
def test_the_smallest_cases() -> None:
    wrong: list[str] = []
    for case in minimal():
        mesh = mesh_of(case, case["objects"])
        (proxy,) = proxies(case)
        for answer in case["answers"]:
            if "port" in answer:
                found = governs(mesh, proxy, answer["port"], answer["istio"])
                if found != answer["istio"]:
                    wrong.append(f"{case['case']}: Istio {answer['istio']}, the model {found}")
    assert not wrong, "\n".join(wrong)


@needed(MINIMAL)
def test_the_lab_routes_the_smallest_cases_as_istio_does() -> None:
    wrong: list[str] = []
    for case in minimal():
        (described,) = case["proxies"]
        found = by_the_lab({**case, "configs": case["objects"]}, described)
        for answer in case["answers"]:
            if "port" in answer:
                names = {
                    name.removesuffix(f":{answer['port']}"): governor
                    for name, governor in found.items()
                    if name.endswith(f":{answer['port']}") and not name.endswith(f".:{answer['port']}")
                }
                if names != answer["istio"]:
                    wrong.append(f"{case['case']}: Istio {answer['istio']}, the lab {names}")
    assert not wrong, "\n".join(wrong)


@needed("who-governs")
def test_the_lab_routes_as_istio_does() -> None:
    """Its one listener stands for those of all ports, so names carry the port."""
    wrong: list[str] = []
    for record in all_of(MESHES, some=SOME):
        if set(record["mesh"]) - {"defaultVirtualServiceExportTo"}:
            continue  # the lab has one root namespace
        for described, answer in zip(record["proxies"], record["istio"], strict=True):
            found = by_the_lab(record, described)
            for port, recorded in answer["governs"].items():
                for name, governor in recorded.items():
                    if name != CATCH_ALL and found.get(f"{name}:{port}") != governor:
                        wrong.append(
                            f"{record['id']} {described['namespace']}/{described['name']} {name}:{port}: {governor}"
                        )
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])


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
