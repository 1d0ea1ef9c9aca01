"""Labs start, end and die: nothing survives, and what happened is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos.adapters.embedded_lab import lab_in_use
from chaos.errors import LabError
from chaos.lab import commands, door
from chaos.lab.needed import BINARY_VARIABLE
from chaos.lab.processes import start_time
from chaos.lab.state import LabFiles, LabState, SupervisorLock, home
from chaos.lab.wanted import Wanted
from tests.e2e.lab_processes import processes_of, wait_until_gone
from tests.support import loopback
from tests.support.scope import one_of, survive_only
from tests.support.waiting import until

pytestmark = pytest.mark.lab

SMALL = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: alone, namespace: default}
spec:
  selector: {matchLabels: {app: alone}}
  template:
    metadata: {labels: {app: alone}}
    spec: {containers: [{name: app, image: alone, ports: [{containerPort: 8080}]}]}
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of labs for this test alone; whatever the test left running is ended."""
    monkeypatch.setenv("CHAOS_LAB_HOME", str(tmp_path / "labs"))
    yield tmp_path / "labs"
    for directory in (tmp_path / "labs").glob("*"):
        commands.down(directory.name)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One workload instead of the shop's: the same life, in less time."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Path]:
    """A file that is open here for every process that is started, as that of ``flock`` is."""
    file = tmp_path / "lock"
    descriptor = os.open(file, os.O_CREAT)
    os.set_inheritable(descriptor, True)
    yield file
    os.close(descriptor)


def test_up_status_and_down(own_home: Path, lock: Path) -> None:
    state = commands.up("default")
    assert lock not in [one.readlink() for one in Path(f"/proc/{state.pid}/fd").iterdir()]
    found = commands.status("default")
    assert found.healthy, found
    assert found.state == state
    assert state.context == "chaos-lab"
    names = {part.name for part in found.parts if not part.name.startswith("envoy ")}
    assert names == {"supervisor", "Kubernetes API", "control plane", "controllers", "prometheus", "apps"}
    assert len(found.parts) - len(names) == 18
    assert found.memory.resident < 2 * 1024**3

    assert commands.up("default") == state  # the one that runs

    processes = processes_of("default")
    assert len(processes) >= 20
    begin = time.monotonic()
    assert commands.down("default")
    assert time.monotonic() - begin < 3
    wait_until_gone(processes, within=0.5)
    assert not (own_home / "default").exists()
    assert commands.status("default").detail == "not running"
    assert not commands.down("default")


def test_nothing_survives_a_killed_supervisor_and_the_next_status_says_so(own_home: Path, small: Path) -> None:
    state = commands.up("killed", wanted=Wanted([small]))
    processes = processes_of("killed")
    os.kill(state.pid, signal.SIGKILL)
    wait_until_gone(processes, within=2)

    found = commands.status("killed")
    assert not found.running
    assert f"the supervisor (process {state.pid}) was killed" in found.detail
    assert not (own_home / "killed").exists()
    assert commands.status("killed").detail == "not running"


def test_a_killed_lab_is_cleaned_up_by_the_next_up(small: Path) -> None:
    first = commands.up("again", wanted=Wanted([small]))
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    second = commands.up("again", wanted=Wanted([small]))
    assert second.pid != first.pid
    assert commands.status("again").healthy


OWNER = """
import pathlib, sys, time
from chaos.lab import commands
from chaos.lab.wanted import Wanted
state = commands.up(sys.argv[1], attached=True, wanted=Wanted([pathlib.Path(each) for each in sys.argv[2:]]))
print(state.pid, flush=True)
time.sleep(120)
"""


@pytest.mark.parametrize("number", one_of(2, [signal.SIGKILL, signal.SIGINT]))
def test_an_attached_lab_ends_with_its_owner(number: signal.Signals, own_home: Path, small: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, "attached", small],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().strip().isdigit()
        processes = processes_of("attached")
        owner.send_signal(number)
        owner.wait(5)
        wait_until_gone(processes, within=3)
    until(lambda: not (own_home / "attached").exists(), within=5)


def test_ctrl_c_while_it_starts_leaves_nothing(own_home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", OWNER, "early"], stderr=subprocess.PIPE, env=environment) as owner:
        files = LabFiles.of("early")
        until(lambda: list((own_home / "early").glob("logs/envoy-*")), within=15)
        pid = int(files.lock.read_text().split()[0])
        processes = {pid: start_time(pid) or 0}
        owner.send_signal(signal.SIGINT)
        owner.wait(5)
    wait_until_gone(processes, within=3)
    assert not SupervisorLock.is_held(files.lock)


@pytest.mark.parametrize("number", one_of(2, [signal.SIGINT, signal.SIGTERM]))
def test_a_supervisor_in_the_foreground_ends_by_a_signal(number: signal.Signals, own_home: Path, small: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    argv = [sys.executable, "-m", "chaos.lab.supervisor", "--name", "front", "--manifests", str(small)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as supervisor:
        until(lambda: commands.running("front") is not None, within=30)
        processes = processes_of("front")
        supervisor.send_signal(number)
        assert supervisor.wait(3) == 0
    wait_until_gone(processes, within=0.5)
    assert not (own_home / "front").exists()


@survive_only
def test_two_labs_side_by_side_share_nothing() -> None:
    with ThreadPoolExecutor() as pool:  # at the same time, as two sessions would
        first, second = pool.map(lambda name: commands.up(name, attached=True), ("one", "two"))
    for field in ("api", "prometheus", "entry", "context", "pid"):
        assert getattr(first, field) != getattr(second, field)
    assert {state.entry: _orders(state) for state in (first, second)} == {first.entry: 200, second.entry: 200}
    commands.down("one")
    assert commands.status("two").healthy
    assert _orders(second) == 200


def test_someone_elses_lab_is_not_attached_to(small: Path) -> None:
    commands.up("mine", attached=True, wanted=Wanted([small]))
    with pytest.raises(LabError, match="running already, and it ends with another process") as caught:
        commands.up("mine", attached=True)
    assert "chaosctl lab down" in (caught.value.hint or "")


def test_a_missing_prometheus_is_named_with_its_cure(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, "/no/such/prometheus")
    begin = time.monotonic()
    with pytest.raises(LabError, match="which is no executable file") as caught:
        commands.up("without")
    assert time.monotonic() - begin < 5
    assert BINARY_VARIABLE in (caught.value.hint or "")
    assert not SupervisorLock.is_held(own_home / "without" / "lock")


def test_a_part_that_dies_at_its_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\necho the disk is full >&2\nexit 5\n")
    broken.chmod(0o755)
    monkeypatch.setenv(BINARY_VARIABLE, str(broken))
    with pytest.raises(LabError, match=r"prometheus died: ended with exit code 5; .*\n.*the disk is full"):
        commands.up("broken")
    assert not commands.status("broken").running


def test_too_little_time_is_told_and_leaves_nothing() -> None:
    with pytest.raises(LabError, match="not ready in time; it was at: "):
        commands.up("hurried", timeout=1.5)
    assert not commands.status("hurried").running


def _orders(state: LabState) -> int:
    return loopback.get(f"{state.entry}/orders/42").status_code


def test_a_lab_of_ones_own_is_started_once_for_all_who_name_it_and_ends_with_the_block() -> None:
    with lab_in_use() as own:
        [name] = [folder.name for folder in home().iterdir()]
        assert name != "default"
        told: list[str] = []
        assert door.use(name, owner=os.getpid(), told=told.append) == own
        assert told == []
        assert commands.status(name).healthy
    assert commands.status(name).detail == "not running"


def test_the_default_lab_is_used_where_it_runs_and_goes_on(small: Path) -> None:
    state = commands.up("default", attached=True, wanted=Wanted([small]))
    with lab_in_use() as found:
        assert found == door.running() == state
    door.end("own")
    assert commands.status("default").healthy
