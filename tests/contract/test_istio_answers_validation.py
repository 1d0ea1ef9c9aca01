"""What the lab takes, refuses and warns of, against the recorded answers of Istio 1.30.3 to the same documents.

Istio's answer is that of the whole way of an object: pruning, the CRD's schema and CEL, conversion, webhook.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chaos.lab.istio.validation import VALIDATORS
from tests.conftest import FIGURE
from tests.contract.answers import files, needed, records

FILES = files("validation")
SOME = 600
"""Documents of each file that are asked about where not all are."""
pytestmark = needed("validation")
LIMIT = re.compile(r"the lab does not support (spec|metadata)[.\[].* yet")
"""A refusal that is the lab's own names the field."""
OTHER_WARNINGS: frozenset[str] = frozenset()
"""Ids of documents that both take, with other warnings; none is known."""


def kind_of_answer(document: dict[str, Any], istio: dict[str, Any]) -> str:
    """Where the lab's answer and Istio's meet, or how they differ."""
    try:
        found = VALIDATORS[document["kind"]](copy.deepcopy(document))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return f"crash: {type(error).__name__}"
    if not found.accepted:
        if not istio["valid"]:
            return "both refuse"
        return "not supported" if LIMIT.fullmatch(found.denied) else "refused though Istio takes it"
    if not istio["valid"]:
        return "taken though Istio refuses it"
    return "both take" if sorted(found.warnings) == sorted(istio.get("warnings", ())) else "other warnings"


@pytest.mark.parametrize("name", FILES)
def test_the_lab_answers_as_istio_does(name: str, record_property: Callable[[str, object], None]) -> None:
    counted: Counter[str] = Counter()
    differing: dict[str, str] = {}
    for record in records(name, some=SOME):
        answer = kind_of_answer(record["document"], record["istio"])
        counted[answer] += 1
        if answer not in ("both take", "both refuse", "not supported") and record["id"] not in OTHER_WARNINGS:
            differing[record["id"]] = answer
    told = ", ".join(f"{number} {answer}" for answer, number in sorted(counted.items()))
    record_property(FIGURE, f"{name}: {counted.total()} documents: {told}")
    assert differing == {}


@pytest.mark.parametrize("name", FILES)
def test_what_is_stored_is_what_istio_would_store(name: str) -> None:
    """Unknown fields are named as Istio's CRDs name them, and are gone from what is taken; so are nulls."""
    wrong = []
    for record in records(name, some=SOME):
        document = copy.deepcopy(record["document"])
        found = VALIDATORS[document["kind"]](document)
        if not found.accepted:
            continue
        found.prune(document)
        again = VALIDATORS[document["kind"]](document)
        unknown = {str(path[-1]) for path in found.unknown}
        theirs = {path.rpartition(".")[2] for path in record["istio"].get("unknown", ()) if path.startswith("spec")}
        if again.unknown or again.nulls or not again.accepted or unknown != theirs:
            wrong.append((record["id"], unknown, theirs))
    assert wrong == []
