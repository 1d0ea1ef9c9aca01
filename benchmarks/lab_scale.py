"""What the lab takes at three sizes, up to 60 workloads, 300 services and 1,000 VirtualServices: start, push, memory.

python -m benchmarks.lab_scale [workloads]

Each workload has a sidecar and is behind five Services of its namespace; a third of the services has one VirtualService
that governs, all others wait behind it. A push is timed from the write to the first answer of every sidecar that has it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from chaos.lab import commands
from chaos.lab.state import LabState
from chaos.lab.wanted import Wanted

NAMESPACES = ("alpha", "beta", "gamma")
SIZES = (15, 30, 60)
SERVICES, GOVERNED = 5, 50
"""Services of each workload, and VirtualServices for every three workloads."""
PUSHES = 10
PORT = 8080
GROUP = "apis/networking.istio.io/v1"


def manifests(workloads: int) -> str:
    parts = []
    for number in range(workloads):
        where, name = NAMESPACES[number % len(NAMESPACES)], f"w{number}"
        parts.append(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {where}}}\n"
            f"spec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n"
            f"    spec: {{containers: [{{name: app, image: x, ports: [{{containerPort: {PORT}}}]}}]}}\n"
        )
        parts += [
            f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}-{own}, namespace: {where}}}\n"
            f"spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {PORT}}}]}}\n"
            for own in range(SERVICES)
        ]
    for number in range(workloads * GOVERNED // 3):
        of = number % workloads
        where, host = NAMESPACES[of % len(NAMESPACES)], f"w{of}-{number // workloads % SERVICES}"
        parts.append(
            f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: vs-{number}, namespace: {where}}}\n"
            f"spec:\n  hosts: [{host}]\n  http:\n  - match: [{{uri: {{prefix: /a}}}}]\n    timeout: 3s\n"
            f"    route: [{{destination: {{host: {host}}}}}]\n  - route: [{{destination: {{host: {host}}}}}]\n"
        )
    return "---\n".join(parts)


def proxies(lab: LabState) -> list[httpx.Client]:
    pods = httpx.get(f"{lab.api}/api/v1/pods", trust_env=False).json()["items"]
    mine = [pod for pod in pods if pod["metadata"]["namespace"] in NAMESPACES]
    return [httpx.Client(proxy=f"http://{pod['status']['podIP']}:15001", trust_env=False, timeout=30) for pod in mine]


def push(lab: LabState, clients: list[httpx.Client], number: int) -> tuple[float, float]:
    """Seconds until the first and until the last sidecar has what is written."""
    host = f"push-{number}.example"
    http = [{"directResponse": {"status": 200}}]
    obj = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": f"push-{number}", "namespace": NAMESPACES[0]},
        "spec": {"hosts": [host], "http": http},
    }
    began = time.perf_counter()
    httpx.post(
        f"{lab.api}/{GROUP}/namespaces/{NAMESPACES[0]}/virtualservices", json=obj, trust_env=False
    ).raise_for_status()

    def has(client: httpx.Client) -> float:
        while client.get(f"http://{host}/").status_code != 200:
            time.sleep(0.02)
        return time.perf_counter() - began

    with ThreadPoolExecutor(8) as pool:
        took = list(pool.map(has, clients))
    return min(took), max(took)


def measure(workloads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHAOS_LAB_HOME"] = f"{folder}/labs"
        file = Path(folder) / "mesh.yaml"
        file.write_text(manifests(workloads))
        began = time.perf_counter()
        lab = commands.up("scale", attached=True, wanted=Wanted([file]))
        ready = time.perf_counter() - began
        clients = proxies(lab)
        try:
            took = [push(lab, clients, number) for number in range(PUSHES)]
            each = {part.name: part.memory.resident / 2**20 for part in commands.status("scale").parts if part.memory}
        finally:
            for client in clients:
                client.close()
            commands.down("scale")
    envoys = [size for name, size in each.items() if name.startswith("envoy")]
    others = ", ".join(f"{name} {size:.0f}" for name, size in each.items() if not name.startswith("envoy"))
    print(
        f"{workloads} workloads, {workloads * SERVICES} services, {workloads * GOVERNED // 3} VirtualServices: "
        f"ready after {ready:.1f} s; a push is in the first sidecar after {statistics.median(one for one, _ in took):.2f} s, "
        f"in the last of {len(clients)} after {statistics.median(one for _, one in took):.2f} s "
        f"(at most {max(one for _, one in took):.2f} s); resident MiB: an Envoy {statistics.median(envoys):.0f}, "
        f"all Envoys {sum(envoys):.0f}, {others}",
        flush=True,
    )


def main() -> None:
    for workloads in [int(one) for one in sys.argv[1:]] or SIZES:
        measure(workloads)


if __name__ == "__main__":
    main()
