"""Every suite notices when the thing that it guards is broken: green says something only because red is possible."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from chaos_suites.services import SHOP, read_services
from tests.suites.broken import BROKEN, Broken
from tests.suites.running import SUITES, Done, run
from tests.support.kubectl import needs_kubectl, run_kubectl
from tests.support.labs import own_lab

AT_ONCE = 4


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    """The default lab of a home of its own, which the suites' processes find by the environment."""
    with own_lab(tmp_path_factory.mktemp("labs"), "default") as made:
        yield made


def broken_in(folder: Path, broken: Broken) -> Path:
    """The shop's ``services.toml`` and its configuration, with one thing broken."""
    copy = folder / broken.name
    shutil.copytree(SHOP.parent, copy)
    file = copy / broken.file
    assert broken.old in file.read_text(), f"{broken.file} has changed, so it would not be broken"
    file.write_text(file.read_text().replace(broken.old, broken.new))
    return copy / SHOP.name


@pytest.fixture(scope="module")
def runs(
    lab: LabState, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Done]]]:
    """The runs of all that are asked for, some at a time."""
    folder = tmp_path_factory.mktemp("broken")
    asked = {item.callspec.params["broken"] for item in request.session.items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            one.name: pool.submit(run, one.test, services=broken_in(folder, one), reports=folder / "reports")
            for one in BROKEN
            if one in asked
        }


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.name)
def test_its_suite_notices(broken: Broken, runs: dict[str, Future[Done]]) -> None:
    done = runs[broken.name].result()
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert broken.told in done.stdout, done.stdout


@needs_kubectl
def test_a_service_that_drops_trace_headers_is_noticed(
    lab: LabState, runs: dict[str, Future[Done]], tmp_path: Path
) -> None:
    """That is no configuration of the mesh, so the service itself is another one for the time of the test."""
    for one in runs.values():
        one.result()
    annotation = "lab.istio-chaos.dev/behaviour"
    path = "{.spec.template.metadata.annotations}"
    before = run_kubectl(
        lab.kubeconfig, "-n", "staging", "get", "deploy", "order-svc", "-o", f"jsonpath={path}", context=lab.context
    )
    behaviour = json.loads(before.stdout)[annotation]

    def become(text: str) -> None:
        patch = json.dumps({"spec": {"template": {"metadata": {"annotations": {annotation: text}}}}})
        for what in (
            ["patch", "deploy", "order-svc", "--type", "merge", "-p", patch],
            ["rollout", "status", "deploy/order-svc"],
        ):
            done = run_kubectl(lab.kubeconfig, "-n", "staging", *what, context=lab.context)
            assert done.returncode == 0, done.stderr

    become(behaviour + "forwardHeaders: [x-chaos-run]\n")
    try:
        done = run("observability/test_trace_headers.py", services=SHOP, reports=tmp_path)
    finally:
        become(behaviour)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "order-svc drops the trace headers of requests to inventory-svc" in done.stdout, done.stdout


def test_everything_that_is_tested_can_be_broken() -> None:
    """Each test file of the suites has an entry, but for what is said here."""
    assert read_services(SHOP)
    files = {str(file.relative_to(SUITES)) for file in SUITES.glob("*/test_*.py")}
    elsewhere = {"observability/test_trace_headers.py"}
    assert files - {one.test.partition("::")[0] for one in BROKEN} - elsewhere == set()
