"""Who governs which name for whom, as Istio's own code answered it: recorded meshes, every proxy, port and name."""

from __future__ import annotations

from tests.contract.answers import all_of, files, minimal, needed, proxies
from tests.contract.governing import CATCH_ALL, by_the_lab, differences, governs, mesh_of, title

MINIMAL = "minimal/cases.yaml"
MESHES = files("who-governs")
SOME = 75
"""Meshes of each file that are asked about where not all are."""


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
