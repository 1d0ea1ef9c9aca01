"""Whole runs as the printed service account, with the printed Roles, under the printed admission policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import MeshError
from chaos.manifests.admission import admission
from chaos.manifests.rbac import rbac
from chaos.model.settings import LAB
from tests.support import loopback
from tests.support.api_server import ADMIN_TOKEN, CONTEXT, fault
from tests.survival.world import STRATEGIES, Strategy, World

PLURALS = {
    "ServiceAccount": "serviceaccounts", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles", "RoleBinding": "rolebindings", "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("strategy", [*STRATEGIES, "staged"])
@pytest.mark.parametrize("allowed", [True, False], ids=["its account", "another account"])
def test_runs_pass_and_clean_up_under_the_policy(tmp_path: Path, strategy: Strategy, allowed: bool) -> None:
    world = World(tmp_path, strategy)
    try:
        with loopback.Client(base_url="http://{}:{}".format(*world.api.address)) as admin:
            home = "/api/v1/namespaces/staging/serviceaccounts/chaos-harness/token"
            account = "chaos-harness" if allowed else "somebody"
            objects = [*rbac(["staging"], home="staging"), *admission(LAB, home="staging", account=account)]
            admin.post("/api/v1/namespaces", json={"metadata": {"name": LAB.root_namespace}}).raise_for_status()
            for obj in objects:
                group = "/api/v1" if obj["apiVersion"] == "v1" else f"/apis/{obj['apiVersion']}"
                place = f"/namespaces/{obj['metadata']['namespace']}" if "namespace" in obj["metadata"] else ""
                admin.post(f"{group}{place}/{PLURALS[obj['kind']]}", json=obj).raise_for_status()
            token = admin.post(home, json={}).json()["status"]["token"]
        for file in (world.kubeconfig, world.api.kubeconfig):
            file.write_text(file.read_text().replace(ADMIN_TOKEN, token))
        told = world.run(world.orders())
        if allowed:
            assert told["outcome"] == "passed", told
        else:
            assert told["outcome"] != "passed"
            assert "mark-of-the-harness" in str(told), told
            with pytest.raises(MeshError) as caught:
                KubernetesMesh(str(world.kubeconfig), CONTEXT).create_virtual_service(fault("abcdefgh"))
            assert "the rule mark-of-the-harness of the ValidatingAdmissionPolicy" in str(caught.value.hint)
            own = "`chaosctl manifests admission --home staging --account chaos-harness`"
            assert own in str(caught.value.hint), "it was printed for another account"
        assert world.is_clean()
    finally:
        world.close()
