"""The code on the pages about Python runs: what needs no mesh at once, tests on a shop in memory, the naive service on the lab."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from tests.e2e.experiments import configured

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*sorted((DOCS / "reference" / "python").glob("*.md")), DOCS / "tutorial" / "python-suite.md"]
QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:locust"]
ON_THE_LAB = "naive"
"""Part of the names of tests whose service is there on the lab alone."""
CONFTEST = """\
from chaos.testing.shop import Shop

def pytest_chaos_harness(config):
    return Shop().harness(report_dir="reports")
"""


def code_of(page: Path) -> str:
    """All Python of a page, as one module."""
    return "\n\n".join(
        re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )


def named_in(page: Path) -> list[str]:
    return re.findall(r"^def (test_\w+)\(", code_of(page), re.MULTILINE)


def module_of(page: Path) -> str:
    return f"test_{page.stem.lower().replace('-', '_')}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_is_so(page: Path) -> None:
    code = code_of(page)
    assert "from chaos import " in code
    exec(compile(code, str(page), "exec"), {"__name__": module_of(page)})  # noqa: S102 - it is our own


def test_the_tests_on_the_pages_pass_on_a_shop_in_memory(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**{module_of(page): code_of(page) for page in PAGES if named_in(page)})
    found = pytester.runpytest_subprocess(*QUIET, "-k", f"not {ON_THE_LAB}")
    found.assert_outcomes(passed=8, deselected=2)
    assert found.stdout.str().count(" passed ") > 5, "each is in the table of experiments"


@pytest.mark.lab
def test_the_naive_service_fails_on_the_lab_as_the_pages_say(
    pytester: pytest.Pytester, lab: LabState, tmp_path: Path
) -> None:
    configured(pytester.path)
    page = DOCS / "tutorial" / "python-suite.md"
    pytester.makepyfile(**{module_of(page): code_of(page)})
    where = {"context": lab.context, "kubeconfig": lab.kubeconfig, "prometheus": lab.prometheus, "entry": lab.entry}
    options = ["--chaos-profile=quick", *(f"--chaos-{name}={value}" for name, value in where.items())]
    found = pytester.runpytest_subprocess(*QUIET, *options, "-k", ON_THE_LAB)
    found.assert_outcomes(passed=1, deselected=2)
