"""What only the lab lets a test do: to its control plane, and to its Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from chaos import LabError, MeshAccess
from chaos.adapters.embedded_lab import find_lab
from chaos.adapters.kubernetes_api import KubernetesApi


@contextmanager
def istiod_down(lab: MeshAccess) -> Iterator[None]:
    """Nothing is distributed while the ``with`` block lasts."""
    _control_plane(lab, "--down")
    try:
        yield
    finally:
        _control_plane(lab, "--up")


@contextmanager
def alert_rules(lab: MeshAccess, files: Sequence[Path], namespace: str) -> Iterator[None]:
    """Prometheus has the rules of these files, each a PrometheusRule, while the ``with`` block lasts."""
    rules = [YAML(typ="safe", pure=True).load(file) for file in files]
    with present(lab, f"/apis/monitoring.coreos.com/v1/namespaces/{namespace}/prometheusrules", rules):
        yield


def rotate_certificates(lab: MeshAccess) -> None:
    """Every workload gets a new certificate."""
    _control_plane(lab, "--rotate-certificates")


def _control_plane(lab: MeshAccess, what: str) -> None:
    door = find_lab()
    try:
        door.command(["control-plane", "--name", door.name_of(lab), what], staging_labels=dict)
    except SystemExit as ended:
        if ended.code:
            raise LabError(f"`chaosctl lab control-plane {what}` failed") from ended


@contextmanager
def present(lab: MeshAccess, path: str, objects: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Objects of a collection of the lab's API are there while the ``with`` block lasts; those of a killed test are replaced."""
    api = KubernetesApi(lab.kubeconfig, lab.context, timeouts=(5.0, 10.0))
    with ExitStack() as made:
        for obj in objects:
            one = f"{path}/{obj['metadata']['name']}"
            api.delete(one)
            made.callback(api.delete, one)
            api.post(path, obj)
        yield
