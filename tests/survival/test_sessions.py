"""Whole pytest sessions that are stopped, time out, lose a worker, or come after one that left something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.safety.lease import LEASE_SECONDS
from tests.support.processes import is_alive
from tests.support.scope import one_of
from tests.support.waiting import until
from tests.survival.child import EXPERIMENT
from tests.survival.session import CONFTEST, OPTIONS, ROOT
from tests.survival.world import ONE_OR_ALL, World

ENDLESS = EXPERIMENT.replace("atLeast: 99%", "atLeast: 99%, duringFault: 99.999%").replace("fault: 60s", "fault: 30m")


@pytest.fixture(params=ONE_OR_ALL)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, request.param)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "conftest.py").write_text(CONFTEST.format(root=str(ROOT), address=made.api.address))
    yield made
    made.close()


class Session:
    """A pytest session in a process group of its own."""

    def __init__(
        self, world: World, *options: str, experiments: tuple[str, ...] = (EXPERIMENT,), kubeconfig: Path | None = None
    ) -> None:
        self.folder = world.folder
        for number, text in enumerate(experiments):
            name = f"experiment-{number}"
            (world.folder / "experiments" / f"{name}.yaml").write_text(
                text.replace("experiment: orders", f"experiment: {name}")
            )
        self.output = world.folder / "out.txt"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:locust", "-p", "no:cacheprovider", "-p", "no:hypothesispytest",
            "experiments", *OPTIONS, "--chaos-kubeconfig", str(kubeconfig or world.kubeconfig), *options,
        ]  # fmt: skip
        environment = {**os.environ, "CHAOS_TEST_SESSION": "1", "PYTHONPATH": str(ROOT)}
        for key in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
            environment.pop(key, None)
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                command, cwd=world.folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )
        world.sessions.append(self.process)

    def end(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def children(self) -> list[int]:
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]


def faulted(world: World) -> bool:
    return world.specs() != world.before


def has_record(world: World) -> bool:
    return any((world.folder / "reports" / "runs").glob("*/record.json"))


def until_faulted(world: World, session: Session) -> None:
    until(lambda: faulted(world) or session.process.poll() is not None, "a fault", within=40)
    assert faulted(world), session.text


@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", one_of(2, ["thread", "signal"]))
def test_pytest_timeout(world: World, method: str) -> None:
    """By a signal the run restores itself; by a thread the process ends at once, and the watchdog cleans up."""
    session = Session(world, "--timeout", "15", "--timeout-method", method, experiments=(ENDLESS,))
    until_faulted(world, session)
    assert session.end() != 0
    until(world.is_clean, "clean", within=10)
    assert "Timeout" in session.text
    if method == "signal":
        assert has_record(world)


@pytest.mark.timeout(120)
def test_pytest_stops_at_the_first_failure(world: World) -> None:
    failing = EXPERIMENT.replace("faults: [abort: {percentage: 50", "faults: [abort: {percentage: 60").replace(
        "limits: {", "limits: {"
    )
    bad = failing.replace("service: order-svc, good", "service: inventory-svc, caller: order-svc, good")
    session = Session(world, "-x", experiments=(bad, EXPERIMENT))
    assert session.end() == 1, session.text
    assert world.is_clean()
    assert "1 failed" in session.text
    assert "stopping after 1 failures" in session.text


@pytest.mark.timeout(120)
def test_a_worker_that_is_killed(world: World) -> None:
    session = Session(world, "-n", "1", "--max-worker-restart", "0", experiments=(ENDLESS,))
    until_faulted(world, session)
    for pid in session.children():
        os.kill(pid, signal.SIGKILL)
    assert session.end() != 0
    until(world.is_clean, "clean", within=10)
    assert "crashed" in session.text


@pytest.mark.timeout(120)
@pytest.mark.parametrize("obedient", [True, False])
def test_a_job_that_is_cancelled(world: World, obedient: bool) -> None:
    """GitHub's way: SIGINT, SIGTERM after 7.5 s, SIGKILL of the whole tree 2.5 s later.

    What must not be cut off comes first: the mesh is restored, then the record is written, and then pictures are drawn
    and pytest says goodbye, which on a busy machine may take any time.
    """
    session = Session(world, experiments=(ENDLESS, EXPERIMENT))
    until_faulted(world, session)
    if obedient:
        os.killpg(session.process.pid, signal.SIGINT)
        until(lambda: has_record(world) or session.process.poll() is not None, "a record", within=7)
        assert world.is_clean(), "restored before anything else"
        assert has_record(world), session.text
        assert session.end() == pytest.ExitCode.INTERRUPTED, session.text
        assert "restored:" in session.text
    else:
        os.killpg(session.process.pid, signal.SIGSTOP)  # a run that hangs: neither signal gets through
        os.killpg(session.process.pid, signal.SIGINT)
        os.killpg(session.process.pid, signal.SIGTERM)
        os.killpg(session.process.pid, signal.SIGKILL)
        session.end(10)
        until(world.is_clean, "clean", within=10)


@pytest.mark.timeout(120)
def test_the_next_session_removes_what_is_left(world: World) -> None:
    """Run and watchdog are killed and there is no janitor: once the lease has run out, the next session cleans up first."""
    session = Session(world, experiments=(ENDLESS,))
    until_faulted(world, session)
    watchdogs = session.children()
    assert watchdogs
    for pid in (*watchdogs, session.process.pid):
        os.kill(pid, signal.SIGKILL)
    session.end(10)
    until(lambda: not any(is_alive(pid) for pid in watchdogs), "they are dead")
    assert faulted(world)
    world.proxy.ahead = LEASE_SECONDS + 10
    following = Session(world, experiments=(EXPERIMENT,))
    assert following.end() == 0, following.text
    assert "at the start: removed" in following.text
    assert world.is_clean()


@pytest.mark.timeout(120)
def test_a_session_that_can_not_clean_up_is_red(world: World) -> None:
    """Something dead that the API refuses to let go: every experiment passed, and still the session is not green."""
    dead = dict(base_of_dead())
    world.mesh.create_virtual_service(dead)

    def refuse(call: object) -> str | None:
        return (
            "409"
            if "chaos-abcdefgh-payment-svc" in getattr(call, "path", "") and getattr(call, "writes", False)
            else None
        )

    world.proxy.before = refuse  # type: ignore[assignment]
    session = Session(world)
    assert session.end() == 1, session.text
    assert "residue" in session.text
    assert "1 passed" in session.text
    assert "chaosctl sweep" in session.text


def base_of_dead() -> dict[str, object]:
    from tests.support.api_server import fault

    return fault("abcdefgh", service="payment-svc")
