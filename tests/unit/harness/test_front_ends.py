"""Three front ends, each of which names settings as its own user writes them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import typer

from chaos import Harness, InputError, cli
from chaos.errors import Setting
from chaos.pytest_plugin.options import add_options
from chaos.pytest_plugin.session import option
from tests.support.api_server import CONTEXT, ApiServer
from tests.support.back_ends import serving, stored

ROOT = Path(__file__).parents[3]
EXPERIMENT = ROOT / "experiments" / "orders-survive-degraded-inventory.yaml"
SPELLINGS = {"chaosctl": "--{}", "pytest": "--chaos-{}", "python": "{}="}

Say = Callable[..., str]
"""What a front end says, for the options by the names of the settings."""


def chaosctl(folder: Path, **options: str) -> str:
    given = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "run", str(EXPERIMENT), *given],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout
    return done.stderr


def pytest_(folder: Path, file: Path | str = EXPERIMENT, *more: str, **options: str) -> str:
    given = [*more, *(f"--chaos-{name}={value}" for name, value in options.items())]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:locust", str(file), *given],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    return done.stdout


def python(folder: Path, **options: str) -> str:
    with pytest.raises(InputError) as caught:
        Harness.connect(
            options.get("context", ""),
            prometheus=options.get("prometheus"),
            prometheus_access=[options["prometheus-access"]] if "prometheus-access" in options else [],
            entry=options.get("entry"),
            kubeconfig=options.get("kubeconfig"),
        )
    return str(caught.value)


FRONT_ENDS: dict[str, Say] = {"chaosctl": chaosctl, "pytest": pytest_, "python": python}


@pytest.fixture(params=FRONT_ENDS)
def front_end(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def options_named_in(text: str) -> set[str]:
    """The settings' names in a text, each as it is spelled there."""
    names = "context|kubeconfig|prometheus|entry|report[-_]dir|wait"
    return {found[0] for found in re.finditer(rf"(?<![\w-])(?:--(?:chaos-)?(?:{names})\b|(?:{names})=(?=\W))", text)}


@pytest.mark.parametrize("given", ["prometheus", "entry"])
def test_without_a_context_nothing_else_is_taken(tmp_path: Path, front_end: str, given: str) -> None:
    told = FRONT_ENDS[front_end](tmp_path, **{given: "http://127.0.0.1:1"})
    spelled = SPELLINGS[front_end]
    assert f"{spelled.format(given)} without {spelled.format('context')}: a cluster is touched only if" in told
    assert f"hint: add {spelled.format('context')}, or omit" in told


def test_a_missing_prometheus_is_told(tmp_path: Path, server: ApiServer, front_end: str) -> None:
    told = FRONT_ENDS[front_end](tmp_path, context=CONTEXT, kubeconfig=str(server.kubeconfig))
    spelled = SPELLINGS[front_end]
    assert f"no Prometheus is named for the context '{CONTEXT}'" in told
    assert f"hint: give {spelled.format('prometheus')}, or prometheus in [tool.chaos]" in told
    assert options_named_in(told) == {spelled.format("prometheus")}


def test_a_wrong_url_is_told(tmp_path: Path, server: ApiServer, front_end: str) -> None:
    where = {"context": CONTEXT, "kubeconfig": str(server.kubeconfig), "prometheus": "http://127.0.0.1:1"}
    told = FRONT_ENDS[front_end](tmp_path, **where, entry="shop")
    assert f"{SPELLINGS[front_end].format('entry')}: expected a URL, got 'shop'" in told


def test_a_wrong_way_in_is_told_without_the_secret(tmp_path: Path, server: ApiServer, front_end: str) -> None:
    where = {"context": CONTEXT, "kubeconfig": str(server.kubeconfig), "prometheus": "http://127.0.0.1:1"}
    told = FRONT_ENDS[front_end](tmp_path, **where, **{"prometheus-access": "bearer=canary-token"})
    name = "prometheus_access" if front_end == "python" else "prometheus-access"
    assert f"{SPELLINGS[front_end].format(name)}: bearer: expected env:NAME or file:PATH" in told
    assert "canary" not in told


def test_a_missing_kubeconfig_is_told(tmp_path: Path, front_end: str) -> None:
    told = FRONT_ENDS[front_end](tmp_path, context="staging", kubeconfig=str(tmp_path / "absent"))
    assert f"hint: give {SPELLINGS[front_end].format('kubeconfig')}, or set KUBECONFIG" in told


SUITE = """
from chaos import Abort, Expectation, Experiment, Load, Request, Target

def test_orders(harness):
    harness.run(Experiment(
        "orders", target=Target("staging", "inventory-svc"), faults=[Abort(percentage=100, http_status=503)],
        load=Load(requests=[Request("/")]),
        steady_state=[Expectation("answered", service="order-svc", status="<500", at_least="99%")],
    ))
"""
OWN = """
from chaos import Harness

def pytest_chaos_harness(config):
    return Harness.connect({context!r}, kubeconfig={kubeconfig!r}, prometheus={prometheus!r})
"""


@pytest.mark.parametrize("file", ["test_suite.py", EXPERIMENT], ids=["suite", "experiment"])
@pytest.mark.parametrize(("own", "spelled"), [(False, "--chaos-entry:"), (True, "entry=:")])
def test_a_test_names_what_its_harness_was_made_by(
    tmp_path: Path, server: ApiServer, file: str | Path, spelled: str, *, own: bool
) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    with serving(stored()) as made:
        where = {"context": CONTEXT, "kubeconfig": str(server.kubeconfig), "prometheus": made.url}
        if own:
            (tmp_path / "conftest.py").write_text(OWN.format(**where))
            told = pytest_(tmp_path, file, "--confcutdir=.", "-pconftest")
        else:
            told = pytest_(tmp_path, file, **where)
    assert "no entry is named, so there is no address for the load" in told
    assert f"hint: give {spelled}" in told


def test_each_front_end_has_every_setting_that_a_message_may_name() -> None:
    run: Any = typer.main.get_command(cli.app).commands["run"]  # type: ignore[attr-defined]
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    python = {*signature(Harness).parameters, *signature(Harness.connect).parameters}
    for setting in Setting:
        assert cli.option(setting.value) in {name for one in run.params for name in one.opts}
        assert option(setting.value) in {name for one in parser.getgroup("chaos").options for name in one.names()}
        assert setting.value in python


def test_nothing_below_the_front_ends_spells_an_option() -> None:
    front_ends = ("cli", "commands", "pytest_plugin")
    below = [
        file
        for file in (ROOT / "chaos").rglob("*.py")
        if file.relative_to(ROOT / "chaos").parts[0].removesuffix(".py")
        not in (*front_ends, "lab", "lint", "manifests")
    ]
    option = re.compile(r"--(chaos-\w+|context|kubeconfig|prometheus|entry|report-dir|wait)\b")
    assert len(below) > 100
    assert [(file.name, found[0]) for file in below for found in option.finditer(file.read_text())] == []
