"""The watchdog as a real process beside a run that is a real process, which is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import HarnessError, MeshError
from chaos.safety.watchdog import Watchdog
from chaos.safety.watchdog_process import Deeds, clean
from tests.support.api_server import CONTEXT, ApiServer, fault
from tests.support.processes import is_alive
from tests.support.waiting import seconds_until, until

RUN = """
    import json, os, sys, time
    from pathlib import Path
    from chaos.adapters.kubernetes_mesh import KubernetesMesh
    from chaos.safety.lease import owner_reference
    from chaos.safety.lock import acquire
    from chaos.safety.watchdog import Watchdog

    kubeconfig, context, folder, how, faults = sys.argv[1:4] + [sys.argv[4], json.loads(sys.argv[5])]
    mesh = KubernetesMesh(kubeconfig, context)
    began = time.monotonic()
    watchdog = Watchdog.start(
        kubeconfig=kubeconfig, context=context, namespaces=("staging",), run="r1", folder=Path(folder)
    )
    took = time.monotonic() - began
    held = acquire(mesh, namespace="staging", service="inventory-svc", run="r1", experiment="e", owner=None)
    for number, obj in enumerate(faults):
        if number:  # one that Kubernetes would not collect with the lease
            mesh.create_virtual_service(obj)
        else:
            mesh.create_virtual_service({**obj, "metadata": {**obj["metadata"], "ownerReferences": [owner_reference(held.obj)]}})
    print(json.dumps({"watchdog": watchdog.pid, "took": took}), flush=True)
    if how == "fork" and os.fork() == 0:
        time.sleep(30)  # holds a copy of the pipe
        os._exit(0)
    if how == "leave":
        sys.exit(0)
    sys.stdin.read()
    if how == "abandon":
        held.stop()
        watchdog.abandon()
        time.sleep(30)
    if how == "release":
        for obj in faults:
            mesh.delete_virtual_service("staging", obj["metadata"]["name"])
        held.release()
        watchdog.release()
"""


class Child:
    """A run in a process, and session, of its own, with its watchdog."""

    def __init__(self, server: ApiServer, folder: Path, how: str = "") -> None:
        self.folder = folder / "runs" / "r1"
        faults = [fault("r1"), fault("r1", service="payment-svc")]
        arguments = [str(server.kubeconfig), CONTEXT, str(self.folder), how, json.dumps(faults)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RUN), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.watchdog: int = said["watchdog"]
        self.took: float = said["took"]

    def report(self, *, ended: bool = False) -> dict[str, Any]:
        """What the watchdog says, once it is content, or has ended."""
        found: dict[str, Any] = {}

        def told() -> bool:
            if ended:
                return not is_alive(self.watchdog)
            with contextlib.suppress(FileNotFoundError):
                found.update(json.loads((self.folder / "watchdog.json").read_text()))
            return found.get("clean") is not False and bool(found)

        until(told)
        return found or json.loads((self.folder / "watchdog.json").read_text())

    def close(self) -> None:
        for pid in (self.process.pid, self.watchdog):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it forked
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def start(server: ApiServer, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def one(how: str = "") -> Child:
        children.append(Child(server, tmp_path, how))
        assert len(server.left()) == 3
        return children[-1]

    yield one
    for child in children:
        child.close()


def test_a_killed_run_leaves_nothing(
    server: ApiServer, start: Callable[..., Child], record_property: Callable[[str, object], None]
) -> None:
    child = start()
    child.process.kill()
    seconds = seconds_until(lambda: not server.left(), pause=0.002)
    record_property("seconds from SIGKILL to a clean cluster", round(seconds, 3))
    record_property("seconds to start the watchdog", round(child.took, 3))
    assert seconds < 2
    report = child.report(ended=True)
    assert (report["run"], report["why"], report["clean"], report["troubles"]) == ("r1", "run died", True, [])
    assert [text.partition(" after")[0] for text in report["removed"]] == [
        "VirtualService staging/chaos-r1-inventory-svc",
        "VirtualService staging/chaos-r1-payment-svc",
        "Lease staging/chaos-inventory-svc",
    ]
    assert not (child.folder / "watchdog.log").exists()


def test_signals_to_the_terminal_or_the_watchdog_do_not_end_it(server: ApiServer, start: Callable[..., Child]) -> None:
    child = start()
    assert os.getsid(child.watchdog) == child.watchdog != os.getsid(child.process.pid)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(child.watchdog, number)
    os.killpg(child.process.pid, signal.SIGINT)  # Ctrl-C
    until(lambda: not server.left())
    assert child.report()["why"] == "run died"


def test_a_run_that_just_exits_is_dead_too(server: ApiServer, start: Callable[..., Child]) -> None:
    child = start("leave")
    until(lambda: not server.left())
    assert child.report()["clean"] is True


def test_a_forked_child_that_holds_the_pipe_open_does_not_hide_the_death(
    server: ApiServer, start: Callable[..., Child]
) -> None:
    child = start("fork")
    child.process.kill()
    assert seconds_until(lambda: not server.left()) < 2
    assert child.report()["why"] == "run died"


def test_released_it_ends_and_touches_nothing(server: ApiServer, start: Callable[..., Child]) -> None:
    child = start("release")
    assert child.process.stdin is not None
    server.calls.clear()
    child.process.stdin.close()
    assert child.process.wait(20) == 0
    assert not is_alive(child.watchdog), "its end was waited for"
    report = child.report()
    assert (report["why"], report["removed"], report["clean"]) == ("released", [], None)
    assert sum(method == "DELETE" for method, _ in server.calls) == 3, "those of the run itself"
    assert server.left() == []


def test_abandoned_it_takes_over_while_the_run_goes_on(server: ApiServer, start: Callable[..., Child]) -> None:
    child = start("abandon")
    assert child.process.stdin is not None
    child.process.stdin.close()
    until(lambda: not server.left())
    assert child.process.poll() is None
    assert child.report()["why"] == "handed over"


def test_while_the_api_is_away_it_keeps_trying(server: ApiServer, start: Callable[..., Child]) -> None:
    child = start()
    server.stop()
    child.process.kill()
    until(lambda: (child.folder / "watchdog.json").exists())
    interim = json.loads((child.folder / "watchdog.json").read_text())
    assert interim["clean"] is False
    assert any("no answer" in trouble for trouble in interim["troubles"])
    server.start()
    until(lambda: not server.left())
    report = child.report()
    assert (report["clean"], len(report["removed"])) == (True, 3)
    assert report["attempts"] > 1


def test_only_its_own_run_is_touched(server: ApiServer, start: Callable[..., Child]) -> None:
    child = start()
    mesh = KubernetesMesh(str(server.kubeconfig), CONTEXT)
    mesh.create_virtual_service(fault("r2", service="user-svc"))
    child.process.kill()
    until(lambda: server.left() == ["chaos-r2-user-svc"])
    assert len(child.report()["removed"]) == 3


@pytest.mark.parametrize(
    ("context", "client", "expected", "match"),
    [
        ("nowhere", None, MeshError, "got 'nowhere'"),
        ("not-to-be-used", None, MeshError, "no answer from http://127.0.0.1:1"),
        (CONTEXT, "chaos.safety.watchdog:no_such_thing", HarnessError, "no_such_thing"),
    ],
)
def test_one_that_could_not_clean_up_is_not_started(
    server: ApiServer, tmp_path: Path, context: str, client: str | None, expected: type[Exception], match: str
) -> None:
    options: dict[str, Any] = {"client": client} if client else {}
    with pytest.raises(expected, match=match):
        Watchdog.start(
            kubeconfig=str(server.kubeconfig), context=context, namespaces=("staging",), run="r1",
            folder=tmp_path / "r", **options,
        )  # fmt: skip


def test_release_in_this_process_leaves_no_process_and_no_warning(server: ApiServer, tmp_path: Path) -> None:
    watchdog = Watchdog.start(
        kubeconfig=str(server.kubeconfig), context=CONTEXT, namespaces=("staging",), run="r1", folder=tmp_path / "r"
    )
    alive = [watchdog.alive]
    for _ in range(2):
        watchdog.release()
        alive.append(watchdog.alive)
    assert alive == [True, False, False]
    assert not is_alive(watchdog.pid)


# --- the loop, in virtual time -----------------------------------------------------------------------------------------


class Script:
    """A mesh with one fault of the run, and a plan of what each pass meets; time passes only by waiting."""

    def __init__(self, *plan: str) -> None:
        self.plan = list(plan)
        self.objects: list[dict[str, Any]] = []
        self.time = 0.0

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> list[dict[str, Any]]:
        what = self.plan.pop(0) if self.plan else ""
        if what == "appears":
            self.objects = [fault("r1")]
            self.objects[0]["metadata"]["uid"] = "u"
        elif what == "away":
            raise MeshError("no answer")
        elif what == "nonsense":
            raise KeyError("metadata")
        return list(self.objects)

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        gone, self.objects = bool(self.objects), []
        return gone


def passes(script: Script, *, patience: float = 900) -> Deeds:
    deeds = Deeds(run="r1", pid=0)
    clean(script, ("staging",), deeds, patience=patience, pause=script.pause, clock=lambda: script.time)  # type: ignore[arg-type]
    return deeds


def test_a_write_that_lands_after_the_death_is_removed_too() -> None:
    script = Script("", "", "appears")
    deeds = passes(script)
    assert (deeds.clean, len(deeds.removed), script.objects) == (True, 1, [])


@pytest.mark.parametrize("trouble", ["away", "nonsense"])
def test_whatever_happens_it_tries_again(trouble: str) -> None:
    deeds = passes(Script(*[trouble] * 20, "appears"))
    assert deeds.clean is True
    assert len(deeds.removed) == 1
    assert len(deeds.troubles) == 1


def test_it_gives_up_after_its_patience_and_says_so() -> None:
    script = Script(*["away"] * 10_000)
    deeds = passes(script, patience=60)
    assert deeds.clean is False
    assert script.time <= 60
