"""Suppressions: only by a comment, only with a reason, only where there is something to suppress."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.lint.reports import Report
from chaos.lint.repository import lint
from tests.unit.lint.rules import STAGING

REASON = "-- the drill of the payment team"


def report(tmp_path: Path, text: str, name: str = "vs.yaml") -> Report:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return lint([str(tmp_path / name)], settings=STAGING)


def found(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    return [(one.place.line, one.rule.id) for one in report(tmp_path, text).findings]


def public_fault(*, top: str = "", above: str = "", behind: str = "") -> str:
    """Has one finding: fault-public, at the fault."""
    return f"""{top}apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: staging}}
spec:
  hosts: [reviews]
  http:
  - name: a
{above}    fault: {{abort: {{percentage: {{value: 50}}, httpStatus: 503}}}}{behind}
    route: [{{destination: {{host: reviews}}}}]
"""


IGNORE = f"# chaos-lint: ignore=fault-public {REASON}"


def test_without_a_comment_it_is_told(tmp_path: Path) -> None:
    assert found(tmp_path, public_fault()) == [(8, "fault-public")]


@pytest.mark.parametrize(
    "text",
    [
        public_fault(behind=f"  {IGNORE}"),
        public_fault(above=f"    {IGNORE}\n"),
        public_fault(above=f"{IGNORE}\n\n    # something else\n"),
        public_fault(top=f"{IGNORE}\n"),
        public_fault(top=f"# licence\n{IGNORE}\n---\n"),
        public_fault(top=f"---\n{IGNORE}\n"),
        public_fault(top=f"--- {IGNORE}\n"),
        public_fault(top="---\n#chaos-lint:ignore=fault-public--drill\n"),
        public_fault(behind="  # see #7 # chaos-lint: ignore = fault-public -- drill"),
        public_fault(top=f"%YAML 1.1\n{IGNORE}\n---\n"),
        public_fault(behind=f"  {IGNORE}").replace("\n", "\r\n"),
        "a: 1\n---\n" + public_fault(top=f"{IGNORE}\n"),
    ],
)
def test_a_comment_with_a_reason_silences_its_line_or_its_document(tmp_path: Path, text: str) -> None:
    done = report(tmp_path, text)
    assert [str(one) for one in done.findings] == []
    [silenced] = done.suppressed
    assert silenced.finding.rule.id == "fault-public"
    assert "drill" in silenced.reason


def test_one_comment_for_several_rules(tmp_path: Path) -> None:
    text = public_fault(above=f"    # chaos-lint: ignore=fault-public, fault-outside-staging {REASON}\n")
    done = report(tmp_path, text.replace("namespace: staging", "namespace: shop"))
    assert done.findings == ()
    assert {one.finding.rule.id for one in done.suppressed} == {"fault-public", "fault-outside-staging"}


@pytest.mark.parametrize("end", ["", " --", " -- ", " - drill", " drill"])
def test_without_a_reason_nothing_is_silenced(tmp_path: Path, end: str) -> None:
    text = public_fault(above=f"    # chaos-lint: ignore=fault-public{end}\n")
    rules = [rule for _, rule in found(tmp_path, text)]
    assert "fault-public" in rules
    assert set(rules) - {"fault-public"} in ({"ignore-without-reason"}, {"ignore-not-understood"})
    assert len(rules) == 2


def test_a_rule_that_does_not_exist(tmp_path: Path) -> None:
    text = public_fault(top=f"# chaos-lint: ignore=fault-pubic,fault-public {REASON}\n")
    [one] = report(tmp_path, text).findings
    assert (one.rule.id, one.place.line, one.place.column, one.hint) == (
        "ignore-of-unknown-rule",
        1,
        1,
        "did you mean fault-public?",
    )


@pytest.mark.parametrize("rule", ["ignore-without-effect", "ignore-of-unknown-rule"])
def test_comments_can_not_silence_what_is_said_about_comments(tmp_path: Path, rule: str) -> None:
    text = public_fault(top=f"# chaos-lint: ignore={rule} {REASON}\n", behind=f" {IGNORE}")
    assert found(tmp_path, text) == [(1, "ignore-of-unknown-rule")]


@pytest.mark.parametrize(
    "text",
    [
        public_fault(above=f"    {IGNORE}\n").replace("fault:", "timeout: 1s #"),  # no fault any more
        public_fault(top=f"a: 1\n{IGNORE}\n---\n"),  # the end of another document
        public_fault(top=f"{IGNORE}\na: 1\n---\n"),  # the top of another document
        public_fault().replace("hosts:", f"{IGNORE}\n  hosts:"),  # another line
        f"{IGNORE}\na: 1\n",  # nothing of interest at all
    ],
)
def test_a_comment_that_silences_nothing(tmp_path: Path, text: str) -> None:
    assert "ignore-without-effect" in [rule for _, rule in found(tmp_path, text)]
    assert report(tmp_path, text).suppressed == ()


@pytest.mark.parametrize("text", ["disable=fault-public", "ignore fault-public -- x", "ignore=", "ignore-file", ""])
def test_a_comment_of_another_form(tmp_path: Path, text: str) -> None:
    assert (1, "ignore-not-understood") in found(tmp_path, public_fault(top=f"# chaos-lint: {text}\n"))


@pytest.mark.parametrize(
    "value",
    [
        f"|\n    {IGNORE}\n    more",
        f'"x {IGNORE}"',
        f"'\n    {IGNORE}'",
    ],
)
def test_what_stands_in_a_value_is_no_comment(tmp_path: Path, value: str) -> None:
    text = public_fault().replace("kind:", f"x: {value}\nkind:")
    assert [rule for _, rule in found(tmp_path, text)] == ["fault-public"]


def test_two_comments_for_one_finding(tmp_path: Path) -> None:
    # Both would do alone, so neither is told to be without effect.
    assert found(tmp_path, public_fault(top=f"{IGNORE}\n", behind=f" {IGNORE}")) == []


def test_a_template_can_be_ignored_though_it_is_not_yaml(tmp_path: Path) -> None:
    text = "# chaos-lint: ignore=unrendered-template -- rendered by the release job\nkind: VirtualService\n{{ if x }}\n"
    assert found(tmp_path, text) == []
    assert found(tmp_path, text.partition("\n")[2]) == [(2, "unrendered-template")]


def test_json_has_no_comments(tmp_path: Path) -> None:
    text = '{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "x": "# chaos-lint: ignore=a -- b",\n"spec": {"http": [{"fault": {}}]}}'
    done = report(tmp_path, text, "vs.json")
    assert "fault-empty" in {one.rule.id for one in done.findings}
    assert not any(one.rule.id.startswith("ignore") for one in done.findings)
