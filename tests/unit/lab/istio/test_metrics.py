"""What a workload is called in the lab's metrics."""

from __future__ import annotations

from pathlib import Path

from chaos.lab.istio.metrics import identity
from chaos.lab.istio.proxy import Proxy


def proxy(**labels: str) -> Proxy:
    return Proxy(
        pod="shop-1", namespace="staging", kind="sidecar", labels=labels, workload="shop-v1", app=labels.get("app", ""),
        version=labels.get("version", ""), service_account="default", ip="127.0.9.1", inbound={}, directory=Path(),
    )  # fmt: skip


def test_canonical_names_are_by_the_labels_that_istio_asks() -> None:
    by_app = identity(proxy(app="shop", version="v1"))
    assert (by_app["canonical_service"], by_app["canonical_revision"]) == ("shop", "v1")
    recommended = identity(proxy(**{"app": "a", "app.kubernetes.io/name": "shop", "app.kubernetes.io/version": "2"}))
    assert (recommended["canonical_service"], recommended["canonical_revision"]) == ("shop", "2")
    assert recommended["app"] == "a"
    bare = identity(proxy())
    assert (bare["canonical_service"], bare["canonical_revision"]) == ("shop-v1", "latest")
