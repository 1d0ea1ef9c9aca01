"""What holds for all tests, and figures that they measured on their way, shown at the end whatever the number of workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support import loopback

if TYPE_CHECKING:
    from chaos.adapters.kubernetes_mesh import KubernetesMesh
    from tests.support.api_server import ApiServer

# Read by gRPC when it is imported. Its handlers start threads of its own in a child between fork and exec, where they find
# their files closed and abort it: a lab's process then ended before it began, once in some hundred starts.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# A script's background job is started with SIGINT ignored, and so would be every process of a test that sends it Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something about the machine, not about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

FIGURE = "figure"

# Their tests share nothing and take long: handed out one by one.
ONE_BY_ONE = ("tests/survival/", "tests/property/")
# Tests of one of these share what they change, or look at all of it: a lab of their own, or the session's.
TOGETHER = (
    ("tests/e2e/shop/",),
    (
        "tests/e2e/test_changing.py", "tests/e2e/test_doctor.py", "tests/e2e/test_run.py", "tests/e2e/test_secrets.py", "tests/e2e/test_template.py",
        "tests/e2e/test_refusing.py::test_plan_shows_the_object", "tests/docs/test_python_pages.py::test_the_naive_service_fails_on_the_lab",
    ),
)  # fmt: skip
WAITING = (
    "tests/e2e/", "tests/unit/safety/", "tests/unit/test_pytest_plugin", "tests/contract/test_load.py", "tests/contract/test_locustfile.py",
)  # fmt: skip


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist is not typed
    """A file's tests go to one worker, for the lab that they share, and so do those of files that share one; others go to any."""

    def _split_scope(self, nodeid: str) -> str:
        for files in TOGETHER:
            if nodeid.startswith(files):
                return files[0]
        return nodeid if nodeid.startswith(ONE_BY_ONE) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    """What ``--dist loadfile`` means here; with any other, xdist's own is used."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # by ``pytest_collection_modifyitems`` instead
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Among several workers: what waits, mostly for a lab, beside what computes, and the short files last.

    So the processors always have something to do, and all workers end at about the same time.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    waiting = [found for file, found in reversed(files.items()) if file.startswith(WAITING)]
    computing = [[item] for file, found in files.items() if file.startswith(ONE_BY_ONE) for item in found]
    others = [found for file, found in files.items() if not file.startswith((*WAITING, *ONE_BY_ONE))]
    step = max(1, len(computing) // max(1, len(waiting)))
    mixed = [part for at, found in enumerate(waiting) for part in (found, *computing[at * step : (at + 1) * step])]
    mixed += computing[len(waiting) * step :]
    items[:] = [item for found in (*mixed, *sorted(others, key=len, reverse=True)) for item in found]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """The lab's Kubernetes API in a thread, with nothing but namespaces."""
    from tests.support.api_server import ApiServer  # when it is needed: pure tests start without it

    made = ApiServer(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def mesh(server: ApiServer) -> KubernetesMesh:
    """The real adapter, as the administrator of ``server``."""
    from chaos.adapters.kubernetes_mesh import KubernetesMesh
    from tests.support.api_server import CONTEXT

    return KubernetesMesh(str(server.kubeconfig), CONTEXT)


@pytest.fixture
def admin(server: ApiServer) -> Iterator[httpx.Client]:
    """Plain HTTP to ``server``, as its administrator."""
    host, port = server.address
    with loopback.Client(base_url=f"http://{host}:{port}") as client:
        yield client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for group in terminalreporter.stats.values() for one in group if isinstance(one, pytest.TestReport)]
    figures = sorted(
        {
            str(value)
            for report in reports
            if report.when == "call"
            for key, value in report.user_properties
            if key == FIGURE
        }
    )
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)
