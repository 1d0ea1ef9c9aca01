"""A sweep over 2,000 VirtualServices in 100 namespaces, of which 50 are a dead run's: seconds and calls.

python -m benchmarks.sweep
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from chaos.adapters.kubernetes_api import PAGE
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.lab.api.resources import NAMESPACES
from chaos.model.marks import new_run
from chaos.safety.lease import owner_reference
from chaos.safety.marks import micro_time
from chaos.safety.sweep import sweep
from tests.support.api_server import CONTEXT, ApiServer, fault

TOTAL, PLACES, OURS = 2000, 100, 50


def fill(server: ApiServer, mesh: KubernetesMesh) -> list[str]:
    names = [f"staging-{number}" for number in range(PLACES)]
    for name in names:
        server.store.create(NAMESPACES, {"metadata": {"name": name, "labels": {"env": "staging"}}})
    for number in range(TOTAL - OURS):
        one = fault("x", service=f"svc-{number}")
        one["metadata"] = {"name": f"vs-{number}", "namespace": names[number % PLACES]}
        mesh.create_virtual_service(one)
    for number in range(OURS):
        run, namespace = new_run(), names[2 * number % PLACES]
        lease = mesh.create_lease({
            "metadata": {"name": f"chaos-svc-{number}", "namespace": namespace, "labels": {"chaos-harness.dev/run": run}},
            "spec": {"holderIdentity": run, "leaseDurationSeconds": 30, "renewTime": micro_time(time.time() - 60)},
        })  # fmt: skip
        one = fault(run, service=f"ours-{number}", owner=owner_reference(lease))
        one["metadata"]["namespace"] = namespace
        one["metadata"]["annotations"] = {"chaos-harness.dev/target": f"ours-{number}/uid"}
        mesh.create_virtual_service(one)
    return names


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = ApiServer(Path(folder))
        mesh = KubernetesMesh(str(server.kubeconfig), CONTEXT)
        names = fill(server, mesh)
        for title in ("with 50 dead runs", "with nothing to do"):
            fresh = KubernetesMesh(str(server.kubeconfig), CONTEXT)
            server.calls.clear()
            began = time.perf_counter()
            done = sweep(fresh, namespaces=tuple(names))
            took = time.perf_counter() - began
            lists = sum(method == "GET" for method, _ in server.calls)
            writes = len(server.calls) - lists
            print(
                f"{title}: {took:.2f} s, {len(server.calls)} calls ({lists} reads of up to {PAGE} objects, {writes} writes), "
                f"{sum(one.removed for one in done)} objects removed, {sum(bool(one.trouble) for one in done)} troubles"
            )
        server.stop()


if __name__ == "__main__":
    main()
