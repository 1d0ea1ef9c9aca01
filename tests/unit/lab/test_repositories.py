"""Manifests in the shape of real repositories: which pods they become on the lab, and what is set aside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from chaos.errors import InputError
from chaos.istio.proxy import proxy_container
from chaos.istio.workloads import workload_name
from chaos.lab import own_manifests, reading
from chaos.lab.api.resources import ENDPOINTS, PODS
from chaos.lab.api.store import Store
from chaos.lab.behaviours import Behaviours
from chaos.lab.controller import Controller
from chaos.lab.istio.validation import VALIDATORS
from chaos.lab.manifests import load_system
from tests.support.kubectl import needs_kubectl
from tests.unit.lab.workloads import settled

FOLDER = Path(__file__).parent / "repositories"


class Cluster:
    """A cluster after manifests were loaded, and after all of its pods were ready."""

    def __init__(self, path: Path, namespace: str) -> None:
        found = reading.read([path])
        self.namespace, self.aside = namespace, found.aside
        self.store = Store()

        async def work() -> None:
            load_system(self.store)
            own_manifests.load(self.store, VALIDATORS, found.documents, Behaviours())
            settled(self.store, Controller(self.store), namespace=namespace)

        asyncio.run(work())

    @property
    def workloads(self) -> Mapping[str, int]:
        return Counter(workload_name(pod) for pod in self.store.list(PODS, self.namespace))

    def answering(self, service: str) -> Sequence[str]:
        """The pods behind a Service."""
        subsets = self.store.get(ENDPOINTS, self.namespace, service).get("subsets") or ()
        return [one["targetRef"]["name"] for subset in subsets for one in subset.get("addresses") or ()]


def test_a_shop_of_many_services() -> None:
    cluster = Cluster(FOLDER / "boutique.yaml", "default")
    assert cluster.workloads == {"frontend": 1, "cartservice": 1, "loadgenerator": 1}
    assert cluster.answering("frontend-external") == cluster.answering("frontend") != []
    assert ["HorizontalPodAutoscaler" in line for line in cluster.aside] == [True]


def test_one_file_with_databases_and_an_agent() -> None:
    cluster = Cluster(FOLDER / "socks.yaml", "sock-shop")
    assert cluster.workloads == {"catalogue-db": 2, "agent": 1, "queue-master": 2}
    assert cluster.answering("catalogue-db") == ["catalogue-db-0", "catalogue-db-1"]
    assert all(proxy_container(pod) for pod in cluster.store.list(PODS, "sock-shop"))
    assert len(cluster.aside) == 2


def test_what_helm_renders() -> None:
    cluster = Cluster(FOLDER / "chart.yaml", "default")
    assert cluster.workloads == {"release-name-web": 2}
    assert len(cluster.answering("release-name-web")) == 2
    test, job = cluster.aside
    assert "Pod release-name-web-test-connection: set aside: Helm makes it for `helm test` alone" in test
    assert "Job migrate-: set aside" in job


def test_what_argo_deploys_as_kubectl_prints_it() -> None:
    cluster = Cluster(FOLDER / "argo.yaml", "guestbook")
    names = [name for name in cluster.workloads if not name.startswith("debug-")]
    assert (names, len(cluster.workloads)) == (["guestbook-ui"], 2)
    assert len(cluster.answering("guestbook-ui")) == 1
    assert ["Application guestbook: set aside" in line for line in cluster.aside] == [True]


@needs_kubectl
def test_an_overlay_of_kustomize() -> None:
    cluster = Cluster(FOLDER / "overlay" / "staging", "shop")
    assert cluster.workloads == {"store-st": 3}
    assert cluster.answering("store-st") == ["store-st-0", "store-st-1", "store-st-2"]


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("apps/v1beta2", "expected the version apps/v1, as Kubernetes and Istio have it"),
        ("extensions/v1beta1", "no Kubernetes since 1.22 has this group: write apps/v1"),
    ],
)
def test_versions_that_no_cluster_has_are_told(tmp_path: Path, old: str, said: str) -> None:
    text = (FOLDER / "boutique.yaml").read_text(encoding="utf-8")
    (tmp_path / "old.yaml").write_text(text.replace("apps/v1\nkind: Deployment", f"{old}\nkind: Deployment"))
    with pytest.raises(InputError, match=said):
        reading.read([tmp_path])
