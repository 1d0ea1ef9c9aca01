"""A lint's report as text, JSON, SARIF and annotations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chaos.lint.reports import FORMATS, Report, summary
from chaos.lint.rules.finding import Finding, Place
from chaos.lint.rules.suppress import Suppressed
from chaos.lint.rules.table import RULES

FOUND = Finding(
    rule=RULES["fault-public"],
    place=Place("overlays/a b/vs,1:2.yaml", line=7, column=3, document=0),
    message="100 % of it,\nseen: by all",
    hint="keep it",
    subject="VirtualService shop/reviews",
)
PIPED = Finding(
    rule=RULES["grpc-abort-on-http"],
    place=Place("-", line=120, column=5, source="shop/templates/vs.yaml"),
    message="m",
    hint="h",
)
REPORT = Report(
    findings=(FOUND, PIPED),
    suppressed=(Suppressed(finding=FOUND, reason="a drill"),),
    notes=("x: binary, not checked",),
    files=1200,
    objects=1,
)
EMPTY = Report(findings=(), files=1)


def test_text_has_the_place_first() -> None:
    first, hint, second, _ = FORMATS["text"](REPORT).replace(",\nseen", ", seen").split("\n")
    assert first.startswith("overlays/a b/vs,1:2.yaml:7:3: error: 100 % of it, seen")
    assert first.endswith("[fault-public]")
    assert hint == "    hint: keep it"
    assert second == "shop/templates/vs.yaml (stdin:120:5): warning: m [grpc-abort-on-http]"
    assert FORMATS["text"](EMPTY) == FORMATS["github"](EMPTY) == ""


def test_the_summary_counts() -> None:
    assert summary(REPORT) == (
        "1,200 files read, 1 object checked: 2 findings (1 error, 1 warning), 1 ignored by comments; the rules are in docs/reference/lint.md"
    )
    assert summary(EMPTY) == "1 file read, 0 objects checked: no findings"


def test_json_has_everything() -> None:
    data = json.loads(FORMATS["json"](REPORT))
    assert data["findings"][0] == {
        "rule": "fault-public",
        "severity": "error",
        "file": FOUND.place.file,
        "line": 7,
        "column": 3,
        "source": None,
        "object": "VirtualService shop/reviews",
        "message": FOUND.message,
        "hint": "keep it",
        "page": "docs/reference/lint.md#fault-public",
    }
    assert data["suppressed"][0]["reason"] == "a drill"
    assert (data["files"], data["objects"], data["notes"]) == (1200, 1, ["x: binary, not checked"])


def test_annotations_are_one_line_each_and_escaped() -> None:
    assert FORMATS["github"](REPORT).split("\n") == [
        "::error file=overlays/a b/vs%2C1%3A2.yaml,line=7,col=3,title=fault-public::100 %25 of it,%0Aseen: by all%0Ahint: keep it",
        "::warning title=grpc-abort-on-http::m%0Ahint: h%0A(shop/templates/vs.yaml (stdin:120:5))",
    ]


# What SARIF 2.1.0 (OASIS, its JSON schema) asks of each object that is written here: required properties, and the types
# of all that may be there. A property that is not named is one that the schema, where it forbids others, would refuse.
SHAPES: dict[str, dict[str, Any]] = {
    "log": {"version!": "2.1.0", "runs!": ["run"], "$schema": str},
    "run": {
        "tool!": "tool", "results": ["result"], "invocations": ["invocation"],
        "columnKind": {"utf16CodeUnits", "unicodeCodePoints"},
    },
    "tool": {"driver!": "driver"},
    "driver": {"name!": str, "semanticVersion": str, "rules": ["rule"]},
    "rule": {"id!": str, "shortDescription": "text", "fullDescription": "text", "help": "text", "defaultConfiguration": "level"},
    "text": {"text!": str, "markdown": str},
    "level": {"level": {"none", "note", "warning", "error"}},
    "invocation": {"executionSuccessful!": bool, "toolExecutionNotifications": ["notification"]},
    "notification": {"message!": "text", "level": {"none", "note", "warning", "error"}},
    "result": {
        "message!": "text", "ruleId": str, "ruleIndex": int, "level": {"none", "note", "warning", "error"},
        "locations": ["location"], "suppressions": ["suppression"],
    },
    "location": {"physicalLocation": "physical"},
    "physical": {"artifactLocation": "artifact", "region": "region"},
    "artifact": {"uri": str},
    "region": {"startLine": int, "startColumn": int},
    "suppression": {"kind!": {"inSource", "external"}, "justification": str},
}  # fmt: skip


def conforms(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, list):
        assert isinstance(value, list), where
        for index, one in enumerate(value):
            conforms(one, shape[0], f"{where}[{index}]")
    elif isinstance(shape, str) and shape in SHAPES:
        fields = {name.rstrip("!"): inner for name, inner in SHAPES[shape].items()}
        assert {name[:-1] for name in SHAPES[shape] if name.endswith("!")} <= set(value) <= set(fields), where
        for name, inner in value.items():
            conforms(inner, fields[name], f"{where}.{name}")
    elif isinstance(shape, set):
        assert value in shape, where
    elif isinstance(shape, type):
        assert type(value) is shape, where
    else:
        assert value == shape, where


@pytest.mark.parametrize("report", [REPORT, EMPTY])
def test_sarif_has_the_form_of_its_specification(report: Report) -> None:
    log = json.loads(FORMATS["sarif"](report))
    conforms(log, "log", "log")
    driver = log["runs"][0]["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for result in log["runs"][0]["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result["locations"]:
            # A relative reference (RFC 3986): nothing that has to be escaped, no colon in its first part.
            assert re.fullmatch(
                r"[A-Za-z0-9._~!$&'()*+,;=@%/-]+", location["physicalLocation"]["artifactLocation"]["uri"]
            )


def test_sarif_places_and_suppressions() -> None:
    first, piped, silenced = json.loads(FORMATS["sarif"](REPORT))["runs"][0]["results"]
    [place] = first["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "overlays/a%20b/vs%2C1%3A2.yaml"},
        "region": {"startLine": 7, "startColumn": 3},
    }
    assert piped["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "shop/templates/vs.yaml"}}
    assert silenced["suppressions"] == [{"kind": "inSource", "justification": "a drill"}]
    assert "suppressions" not in first


def test_every_rule_has_its_part_of_the_page_and_the_page_no_other() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/reference/lint.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == list(RULES)
    for rule in RULES.values():
        part = page.partition(f"### {rule.id}\n")[2].partition("\n### ")[0]
        assert part.lstrip().startswith(f"{rule.severity.capitalize()}."), rule.id
        assert "Remedy:" in part, rule.id
