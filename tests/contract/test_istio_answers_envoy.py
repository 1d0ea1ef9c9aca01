"""What both Istio and the lab accept, real Envoys take: none refuses a whole update for what somebody wrote.

The documents are those of Istio's recorded answers, each in a mesh in which it has its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from chaos.lab.istio.translate import translate
from chaos.lab.istio.validation import VALIDATORS
from tests.contract import answers
from tests.contract.envoy_check import Resources, refused
from tests.contract.mesh_around import configurations
from tests.contract.recorded_mesh import proxy_of, snapshot_of

MESHES: Final = answers.files("translation")
DOCUMENTS: Final = answers.files("validation")
SOME_MESHES, SOME_DOCUMENTS = 15, 100
"""Records of each file that are asked about where not all are."""
TOGETHER: Final = 150
"""Proxies whose configuration one Envoy is asked about."""
Figures = Callable[[str, object], None]


@answers.needed("translation")
@pytest.mark.parametrize("name", MESHES)
def test_envoy_takes_every_recorded_mesh(name: str, tmp_path: Path, record_property: Figures) -> None:
    def found() -> Iterator[tuple[str, Resources]]:
        for record in answers.records(name, some=SOME_MESHES):
            snapshot = snapshot_of(record)
            for described in record["proxies"]:
                yield f"{record['id']} {described['name']}", translate(proxy_of(described), snapshot)

    held(name, found(), tmp_path, record_property)


@answers.needed("validation")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_envoy_takes_every_document_that_both_accept(name: str, tmp_path: Path, record_property: Figures) -> None:
    def found() -> Iterator[tuple[str, Resources]]:
        for record in answers.records(name, some=SOME_DOCUMENTS):
            document = record["document"]
            validate = VALIDATORS.get(document["kind"])
            if record["istio"]["valid"] and validate is not None and validate(document).accepted:
                yield from ((f"{record['id']} {who}", told) for who, told in configurations(document))

    held(name, found(), tmp_path, record_property)


def held(name: str, found: Iterator[tuple[str, Resources]], folder: Path, record_property: Figures) -> None:
    asked, told = 0, {}
    while together := list(islice(found, TOGETHER)):
        asked += len(together)
        told.update(refused(together, folder))
    record_property("figure", f"envoy: {name}: {asked} configurations, {len(told)} refused")
    assert asked, "nothing was asked"
    assert told == {}
