"""What lint claims, against what Istio's own analyzers are expected to say of their test files.

Of those files only the objects of Istio's kinds are recorded, so this can ask about subsets alone: whether a host exists
takes the Services, too. How lint and the analyzers differ elsewhere is in docs/reference/lint.md.
"""

from __future__ import annotations

import json
from typing import Any

from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import manifest
from chaos.lint.rules.table import check
from chaos.model.settings import Settings
from tests.contract.answers import FOLDER, needed, records

pytestmark = needed("analyzers-expected.json", "validation/istio-own.jsonl.gz")
TESTDATA = "pkg/config/analysis/analyzers/"
ANALYZER = "&virtualservice.DestinationRuleAnalyzer{}"


def linted(objects: list[dict[str, Any]]) -> Linted:
    return Linted([manifest(one, document=at) for at, one in enumerate(objects)], Settings())


def test_a_subset_that_no_destination_rule_defines() -> None:
    recorded = list(records("validation/istio-own.jsonl.gz"))
    asked = 0
    for _, files, analyzer, expected, _ in json.loads((FOLDER / "analyzers-expected.json").read_text(encoding="utf-8")):
        if analyzer != ANALYZER:
            continue
        objects = [
            one["document"] for one in recorded if one["id"].startswith(tuple(f"{TESTDATA}{name}#" for name in files))
        ]
        here = {f"{one['kind']} {one['metadata']['namespace']}/{one['metadata']['name']}" for one in objects}
        found = {hit.manifest.title for rule, hit in check(linted(objects)) if rule.id == "subset-not-defined"}
        assert found == {title for _, title in expected} & here
        asked += len(here)
    assert asked
