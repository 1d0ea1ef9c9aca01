"""Whatever points somewhere leads there: links, pages and paths in the documentation, and what messages of the code name."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from chaos.cli import app, documentation
from chaos.lab.cli import app as lab_app
from chaos.lint.rules.finding import PAGE
from chaos.lint.rules.table import RULES as LINT_RULES
from chaos.pytest_plugin.options import add_options
from chaos.values.remarks import JUDGING_AT
from tests.support.repository import ROOT, pages, relative, strings_of, text_of, tracked

MADE_BY_RUNS = re.compile(r"reports/(runs|shifts|allure-)")
"""Paths that a run writes."""
PATH = re.compile(r"(?:chaos|docs|tests|scripts|benchmarks|suites|experiments|reports|\.ci|\.github)/[\w./*-]+")


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """The anchors of a page: those that GitHub gives to its headings, and its own."""
    text = text_of(page)
    headings = re.findall(r"^#+ +(.+?) *#*$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return frozenset(made | set(re.findall(r'<a id="([^"]+)">', text)))


def leads_nowhere(file: Path, anchor: str) -> bool:
    return not file.exists() or bool(anchor and file.suffix == ".md" and anchor not in anchors_of(file))


def code_of(page: Path) -> list[str]:
    return re.findall(r"```.*?```|^ {4}.*$|`[^`\n]+`", text_of(page), re.DOTALL | re.MULTILINE)


def test_links_in_the_documentation_resolve() -> None:
    broken = []
    for page in pages():
        text = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(page), flags=re.DOTALL)
        for link in re.findall(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)", text):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            if leads_nowhere((page.parent / path).resolve() if path else page, anchor):
                broken.append((relative(page), link))
    assert broken == []


def test_files_that_the_documentation_names_are_there() -> None:
    named = [
        (relative(page), path.rstrip("./"))
        for page in pages()
        # The changelog and ADRs speak of their day; who learns or adds something makes files.
        if page.name != "CHANGELOG.md"
        and not {"adr", "tutorial"} & {*page.parts}
        and not page.name.startswith("adding-")
        for code in re.findall(r"`([^`\n]+)`", text_of(page))
        for path in PATH.findall(code)
        if not MADE_BY_RUNS.match(path)
    ]
    assert len(named) > 30
    assert [one for one in named if not (ROOT / one[1]).exists() and not list(ROOT.glob(one[1]))] == []


# ------------------------------------------------------------------------------------------------ what the code says


WITHIN = ("chaos/", "suites/", "experiments/", "scripts/", "reports/allure/", ".ci/", ".github/")
"""Whose files say something to people: messages, docstrings (which are the help of commands), templates, manifests, pipelines."""


@cache
def said() -> tuple[tuple[str, str], ...]:
    """Every text in files that are no pages, with its place: strings and docstrings of the code, and all lines of other files."""
    found: list[tuple[str, str]] = []
    for file in tracked():
        name = relative(file)
        if file.suffix == ".md" or not (name.startswith(WITHIN) or "/" not in name):
            continue
        if file.suffix == ".py":
            found += [(f"{name}:{line}", text) for line, text in strings_of(ast.parse(text_of(file)))]
        else:
            found += [(f"{name}:{number}", line) for number, line in enumerate(text_of(file).splitlines(), 1)]
    return tuple(found)


def test_pages_that_messages_name_are_there() -> None:
    named = [
        (place, path, anchor)
        for place, text in said()
        for path, anchor in re.findall(r"(?<![\w./-])(docs/[\w/-]+(?:\.md)?|suites/[\w/-]+\.md)(?:#([\w-]+))?", text)
        if place.split(":")[0] != "pyproject.toml"
    ]
    assert len(named) >= 30
    assert {place.split("/")[0] for place, *_ in named} >= {"chaos", "suites"}
    # ADRs are named by their number.
    nowhere = [one for one in named if leads_nowhere(ROOT / one[1], one[2]) and not list(ROOT.glob(f"{one[1]}-*.md"))]
    assert nowhere == []


@pytest.mark.parametrize(("page", "rules"), [(PAGE, LINT_RULES), (JUDGING_AT, {"cannot-break", "cannot-decide"})])
def test_every_rule_that_a_report_links_has_its_anchor(page: str, rules: Iterable[str]) -> None:
    assert set(rules) <= anchors_of(ROOT / page)


def test_every_folder_of_the_documentation_goes_with_the_wheel() -> None:
    files = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    there = {f"share/doc/istio-chaos/{relative(page.parent)}" for page in pages() if "docs" in page.parts}
    assert there == set(files) - {"share/doc/istio-chaos/docs/images"}
    assert all(list(ROOT.glob(pattern)) for patterns in files.values() for pattern in patterns)


def test_help_says_where_the_pages_are() -> None:
    assert documentation() == ROOT
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "400", "NO_COLOR": "1"}).output
    assert f"are in {ROOT}." in shown


def commands() -> Mapping[str, Any]:
    """Every command by its words, such as ``lab up``."""
    found: dict[str, Any] = {}
    for prefix, program in (("", app), ("lab ", lab_app)):
        group: Any = get_command(program)
        for name, command in group.commands.items():
            found[prefix + name] = command
            found |= {f"{prefix}{name} {inner}": one for inner, one in getattr(command, "commands", {}).items()}
    return found


CALLED = re.compile(r"chaosctl ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?((?:(?! chaosctl)[^`,;:|()\n])*)")


def misnamed(text: str, known: Mapping[str, Any]) -> Iterator[str]:
    """What a text calls of ``chaosctl`` that is not there."""
    for first, second, rest in CALLED.findall(text):
        command = known.get(f"{first} {second}") or known.get(first)
        if command is None:
            yield f"chaosctl {first} {second}"
            continue
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        yield from (
            f"chaosctl {first} {second}: {option}"
            for option in re.findall(r"(?<!\S)--[a-z-]+", rest)
            if option not in {"--help", *options}
        )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("chaosctl sweep --run r1", []),
        ("run `chaosctl lab down --name x`, then chaosctl plan", []),
        ("chaosctl swep", ["chaosctl swep "]),
        ("chaosctl sweep --runs r1", ["chaosctl sweep : --runs"]),
        ("chaosctl lab up --manifest f", ["chaosctl lab up: --manifest"]),
    ],
)
def test_a_wrong_command_is_noticed(text: str, found: list[str]) -> None:
    assert list(misnamed(text, commands())) == found


def test_commands_that_messages_and_pages_name_exist() -> None:
    known = commands()
    named = [(place, text) for place, text in said() if "chaosctl" in text]
    named += [(relative(page), code) for page in pages() if page.name != "CHANGELOG.md" for code in code_of(page)]
    assert len(named) > 60
    assert [(place, wrong) for place, text in named for wrong in misnamed(text, known)] == []


def test_every_command_takes_json_but_those_that_print_documents() -> None:
    known = commands()
    groups = {name.rpartition(" ")[0] for name in known}
    takes = {name for name, command in known.items() if any("--json" in one.opts for one in command.params)}
    documents = {"schema", "lab shop", "manifests admission", "manifests janitor", "manifests rbac"}
    assert known.keys() - groups - takes == documents


def test_options_of_pytest_that_messages_and_pages_name_exist() -> None:
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    known = {name for group in parser._groups for option in group.options for name in option.names()}
    texts = [*said(), *((relative(page), text_of(page)) for page in pages() if page.name != "CHANGELOG.md")]
    named = [(place, one) for place, text in texts for one in re.findall(r"(?<![\w-])--chaos-[a-z-]+[a-z]", text)]
    assert len(named) > 30
    assert [one for one in named if one[1] not in known] == []
