"""The oracle by which the guard is judged, held against what Istio's own code answered: every proxy, port and name."""

from __future__ import annotations

from tests.contract.answers import ROOT_NAMESPACE, all_of, files, needed, of_kind, proxies
from tests.property.mesh_oracle import Proxy, World, claims, known

MESHES = files("who-governs")
SOME = 75
"""Meshes of each file that are asked about where not all are."""


@needed("who-governs")
def test_the_oracle_says_what_istio_says() -> None:
    wrong = []
    for record in all_of(MESHES, some=SOME):
        config, objects = record["mesh"], record["configs"]
        world = World(
            of_kind(objects, "VirtualService"),
            known(record["services"], of_kind(objects, "ServiceEntry")),
            of_kind(objects, "Sidecar"),
            config.get("defaultVirtualServiceExportTo") or ("*",),
            root=config.get("rootNamespace") or ROOT_NAMESPACE,
        )
        for one, answer in zip(proxies(record), record["istio"], strict=True):
            asker = Proxy(one.namespace, one.labels["app"], version=one.labels.get("version", ""))
            for port, recorded in answer["governs"].items():
                names = {name: claim.owner for name, claim in claims(world, asker, int(port)).items()}
                found = {
                    name: "{namespace}/{name}".format(**owner["metadata"]) if owner else "default"
                    for name, owner in names.items()
                }
                asked = {name: governor for name, governor in recorded.items() if name != "*"}
                for name in found.keys() | asked.keys():
                    if found.get(name) != asked.get(name):
                        told = f"Istio {asked.get(name)}, the oracle {found.get(name)}"
                        wrong.append(f"{record['id']} {one.namespace}/{one.name} {name}:{port}: {told}")
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])
