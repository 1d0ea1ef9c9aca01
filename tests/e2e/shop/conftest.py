"""One lab with the demo shop for all files of this folder, which run one after the other; each leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chaos.lab.state import LabState
from tests.support import loopback
from tests.support.labs import own_lab

KINDS = {"virtualservices": "VirtualService", "destinationrules": "DestinationRule"}


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    with own_lab(tmp_path_factory.mktemp("labs"), "shop") as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def as_it_was(lab: LabState) -> Iterator[None]:
    """Takes away what a file's tests have left of Istio's objects, and puts back what they have changed."""
    before = written(lab)
    yield
    for path, obj in written(lab).items():
        if path not in before:
            assert loopback.delete(path).status_code == 200, path
        elif obj["spec"] != before[path]["spec"]:
            assert loopback.put(path, json={**obj, "spec": before[path]["spec"]}).status_code == 200, path
    assert written(lab).keys() == before.keys()


def written(lab: LabState) -> Mapping[str, dict[str, Any]]:
    """Istio's objects in staging, by their addresses."""
    found: dict[str, dict[str, Any]] = {}
    for plural, kind in KINDS.items():
        folder = f"{lab.api}/apis/networking.istio.io/v1/namespaces/staging/{plural}"
        items = loopback.get(folder).json()["items"]
        head = {"apiVersion": "networking.istio.io/v1", "kind": kind}
        found |= {f"{folder}/{one['metadata']['name']}": {**head, **one} for one in items}
    return found
