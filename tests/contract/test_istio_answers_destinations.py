"""To which hosts requests are sent, as the routes say that Istio's own code made of recorded meshes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chaos.istio.destinations import chosen
from chaos.istio.routing import followed
from tests.contract.answers import Record, all_of, files, needed, proxies
from tests.contract.governing import mesh_of

MESHES = files("translation")
SOME = 40
"""Meshes of each file that are asked about where not all are."""


def clusters_of(routes: list[dict[str, Any]]) -> Iterator[str]:
    """Of the routes that a request can take: Istio leaves out what follows a match for everything, not what follows one for a prefix."""
    for one in followed([{**route, "match": [block_of(route["match"])]} for route in routes], ""):
        action = one.get("route") or {}
        weighted = (action.get("weighted_clusters") or {}).get("clusters") or ()
        yield from ([action["cluster"]] if "cluster" in action else [part["name"] for part in weighted])


def block_of(match: dict[str, Any]) -> dict[str, Any]:
    """Envoy's match in Istio's form, as far as one is compared with another."""
    regex = match.get("safe_regex", {}).get("regex")
    kinds = {"prefix": match.get("prefix"), "exact": match.get("path"), "regex": regex}
    asked = [*(match.get("headers") or ()), *(match.get("query_parameters") or ())]
    return {
        "uri": {kind: path for kind, path in kinds.items() if path is not None},
        "headers": {json.dumps(one, sort_keys=True): {} for one in asked},
    }


def host_in(cluster: str) -> str:
    return cluster.rpartition("|")[2]


def differences(record: Record) -> Iterator[str]:
    mesh = mesh_of(record, record["configs"])
    for proxy, answer in zip(proxies(record), record["istio"], strict=True):
        for port, found in answer["routes"].items() if not proxy.router else ():
            for one in found.get("virtual_hosts") or ():
                if one["name"] in ("block_all", "allow_any"):
                    continue
                recorded = {host_in(cluster) for cluster in clusters_of(one.get("routes") or [])}
                for domain in one["domains"]:
                    name = domain.removesuffix(f":{port}")
                    model = chosen(mesh, name, proxy.namespace, proxy.labels, int(port))
                    if ":" not in name and model != recorded:
                        yield f"{record['id']} {proxy.namespace}/{proxy.name} {name}:{port}: Istio {recorded}, the model {set(model)}"


@needed("translation")
def test_where_requests_are_sent() -> None:
    wrong = [told for record in all_of(MESHES, some=SOME) for told in differences(record)]
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])
