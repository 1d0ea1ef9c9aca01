"""Whether real Envoys take configuration: many at once, and by halves where something is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chaos.lab.envoys import find_envoy
from chaos.lab.istio.bootstrap import bootstrap
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.xds import Kind

Resources = Mapping[Kind, Sequence[Mapping[str, Any]]]
_PROXY = Proxy(
    pod="p", namespace="n", kind="sidecar", labels={}, workload="w", app="a", version="v", service_account="s",
    ip="127.0.0.1", inbound={}, directory=Path(),
)  # fmt: skip


def refused(found: Sequence[tuple[str, Resources]], folder: Path) -> dict[str, str]:
    """What Envoy says against the configuration of proxies, by the names that they are given here; empty for nothing."""
    told = _validate(found, folder)
    if not told or len(found) == 1:
        return {name: told for name, _ in found} if told else {}
    half = len(found) // 2
    return {**refused(found[:half], folder), **refused(found[half:], folder)}


def _validate(found: Sequence[tuple[str, Resources]], folder: Path) -> str:
    start = bootstrap(_PROXY, control_plane=("127.0.0.1", 1))
    del start["dynamic_resources"]
    static = start["static_resources"]
    for at, (_, resources) in enumerate(found):
        static["clusters"] += [_cluster(one, at) for one in resources["clusters"]]
        routes = {one["name"]: one for one in resources["routes"]}
        static["listeners"] += [_in_place(_listener(one, at), routes) for one in resources["listeners"]]
    file = folder / "envoy.json"
    file.write_text(json.dumps(start))
    command = [str(find_envoy()), "--mode", "validate", "-c", str(file), "-l", "error", "--concurrency", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stderr.strip() if done.returncode else ""


def _cluster(cluster: Mapping[str, Any], at: int) -> dict[str, Any]:
    """One whose name no other proxy's has."""
    name = f"{at}~{cluster['name']}"
    known = {key: value for key, value in cluster.items() if key != "@type"}
    return {**known, "name": name, "load_assignment": {**cluster["load_assignment"], "cluster_name": name}}


def _listener(listener: Mapping[str, Any], at: int) -> dict[str, Any]:
    """One whose name and address no other proxy's has."""
    known = {key: value for key, value in listener.items() if key != "@type"}
    socket = {**listener["address"]["socket_address"], "address": f"127.{1 + at // 250}.{at % 250}.1"}
    return {**known, "name": f"{at}~{listener['name']}", "address": {"socket_address": socket}}


def _in_place(found: Any, routes: Mapping[str, Mapping[str, Any]]) -> Any:
    """With route configurations instead of their names."""
    if isinstance(found, dict):
        if "rds" in found:
            route = {key: value for key, value in routes[found["rds"]["route_config_name"]].items() if key != "@type"}
            found = {**{key: value for key, value in found.items() if key != "rds"}, "route_config": route}
        return {key: _in_place(value, routes) for key, value in found.items()}
    return [_in_place(one, routes) for one in found] if isinstance(found, list) else found
