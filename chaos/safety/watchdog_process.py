"""The watchdog's process: waits for the run's end, and removes what it left.

It is told to clean, or finds that the run died, by the pipe on its standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chaos.errors import HarnessError, MeshError
from chaos.model.mesh_change import change_of
from chaos.safety.changes import put_back_of
from chaos.safety.marks import Object, describe, describe_part, part_of, rfc3339
from chaos.safety.removal import announce, give_back, restore

if TYPE_CHECKING:
    from chaos.ports import Mesh

T = TypeVar("T")
_ORPHANED: Final = 30.0
"""Seconds for which it goes on once its kubeconfig is gone and nothing answers: that cluster was a lab that has ended."""
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts; the last one repeats."""
_LINGER: Final = (0.3, 0.7, 1.5, 3.0)
"""Seconds between looks after all was gone: a write that the run had sent just before its end may land later."""
RELEASED, HANDED_OVER = b"released", b"clean"
"""The last word of a run: all is clean, or the watchdog has to clean up."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the process is told first; see ``Watchdog.start``."""

    kubeconfig: str | None
    context: str
    namespaces: tuple[str, ...]
    run: str
    folder: str
    patience: float
    client: str
    cluster: str
    parent: int


@dataclass(kw_only=True)
class Deeds:
    """What the watchdog did: the content of ``watchdog.json``.

    Args:
        why: ``released``, ``handed over`` or ``run died``.
        removed: What it removed, with the seconds after it was called upon.
        attempts: Passes over the cluster.
        troubles: What kept it from cleaning, each once.
        clean: Nothing is left; ``None`` where it had nothing to do.
    """

    run: str
    pid: int
    why: str = ""
    called: str = ""
    ended: str = ""
    seconds: float = 0.0
    removed: list[str] = field(default_factory=list)
    attempts: int = 0
    troubles: list[str] = field(default_factory=list)
    clean: bool | None = None


def clean(
    mesh: Mesh,
    namespaces: Sequence[str],
    deeds: Deeds,
    *,
    patience: float,
    note: Callable[[Deeds], None] = lambda deeds: None,  # noqa: ARG005 - a default that does nothing
    orphaned: Callable[[], bool] = lambda: False,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Removes everything that carries the run's label, the faults before the lease, until nothing is left.

    Args:
        mesh: The cluster.
        namespaces: Where to look.
        deeds: Takes down what was done; ``run`` names whose objects go.
        patience: Seconds after which it gives up.
        note: Told whenever there is something new to tell.
        orphaned: Whether the cluster seems to be gone for ever, so that patience is short.
        pause: Waits.
        clock: Monotonic seconds.
    """
    began = clock()
    failed, calm = 0, 0
    while True:
        deeds.attempts += 1
        told = (deeds.clean, len(deeds.removed), len(deeds.troubles))
        try:
            left = _pass(mesh, namespaces, deeds, lambda: clock() - began)
        except Exception as error:  # noqa: BLE001 - the process's edge: whatever it is, a fault is out there
            left = True
            trouble = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
            if trouble not in deeds.troubles:
                deeds.troubles.append(trouble)
        deeds.clean = not left
        deeds.seconds = round(clock() - began, 3)
        if told != (deeds.clean, len(deeds.removed), len(deeds.troubles)):
            note(deeds)
        if left:
            calm = 0
            wait = _PAUSES[min(failed, len(_PAUSES) - 1)]
            failed += 1
        elif calm < len(_LINGER):
            wait = _LINGER[calm]
            calm += 1
        else:
            return
        if clock() - began + wait > (min(patience, _ORPHANED) if left and orphaned() else patience):
            return
        pause(wait)


def _pass(mesh: Mesh, namespaces: Sequence[str], deeds: Deeds, elapsed: Callable[[], float]) -> bool:
    """One pass over the cluster; whether something is left.

    Raises:
        MeshError: a fault is still there, and so are the leases; all other faults are out.
    """
    found: list[Object] = []
    removed: list[Object] = []

    def take_out(obj: Object) -> None:
        if obj.get("kind") != "Lease" and restore(mesh, obj, run=deeds.run):
            deeds.removed.append(f"{describe_part(obj, deeds.run)} after {elapsed():.2f} s")
            removed.append(obj)

    def take_out_of(namespace: str) -> None:
        here = mesh.injected(namespace, run=deeds.run)
        found.extend(here)
        _each(here, take_out)

    _each(namespaces, take_out_of)

    def free(lease: Object) -> None:
        meta = lease["metadata"]
        note = put_back_of(mesh, lease)
        if mesh.delete_lease(meta["namespace"], meta["name"], uid=meta["uid"]):
            told = f"{change_of(lease) or describe(lease)} after {elapsed():.2f} s"
            deeds.removed.append(f"{told}: {note}" if note else told)

    _each([obj for obj in found if obj.get("kind") == "Lease"], free)
    for obj in removed:
        message = f"the watchdog ended the fault of run {deeds.run}: {deeds.why}"
        announce(mesh, obj, reason="ChaosFaultCleaned", message=message, warning=deeds.why == "run died")
    for obj in found:  # last, so that nothing else waits for it
        part, meta = part_of(obj, deeds.run), obj["metadata"]
        left = give_back(mesh, meta["namespace"], meta["name"], run=deeds.run) if part != "object" else ""
        if left or part == "ownership":
            told = f"the field ownership of {describe(obj)} after {elapsed():.2f} s"
            deeds.removed.append(f"{told}: {left}" if left else told)
    return bool(found) and any(mesh.injected(namespace, run=deeds.run) for namespace in namespaces)


def _each(things: Iterable[T], do: Callable[[T], object]) -> None:
    """Does something with each; one that fails does not keep the others.

    Raises:
        Exception: the first failure.
    """
    failed: Exception | None = None
    for thing in things:
        try:
            do(thing)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others come first
            failed = failed or error
    if failed is not None:
        raise failed


class _Pipe:
    """Lines from the run, by bare reads: a buffered file would hide from ``poll`` what it has already read."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def line(self) -> bytes | None:
        """The next line; ``None`` at the end. Waits for it."""
        while b"\n" not in self._rest:
            chunk = os.read(self.descriptor, 65536)
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _await_call(pipe: _Pipe, parent: int) -> str:
    """Waits until the run lets go or dies; why the wait is over."""
    watched = _watch_process(parent)
    poll = select.poll()
    poll.register(pipe.descriptor, select.POLLIN | select.POLLHUP)
    if watched is not None:
        poll.register(watched, select.POLLIN)
    while True:
        # Without a handle on the process, its death shows as a new parent: init, or a subreaper.
        ready = [descriptor for descriptor, _ in poll.poll(None if watched is not None else 500)]
        if pipe.descriptor in ready:
            line = pipe.line()
            return {RELEASED: "released", HANDED_OVER: "handed over"}.get(line or b"", "run died")
        if ready or os.getppid() != parent:
            return "run died"  # a child that the run forked may still hold the pipe open


def _watch_process(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; ``None`` where the system has none."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _report(deeds: Deeds, folder: Path) -> None:
    """Writes ``watchdog.json``. A full disk is no reason to stop cleaning."""
    content: dict[str, Any] = asdict(deeds)
    with contextlib.suppress(OSError):
        draft = folder / ".watchdog.json.new"
        draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(folder / "watchdog.json")


def _answer(stdout: int, content: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the run died meanwhile, as its own pipe will say
        os.write(stdout, json.dumps(content).encode() + b"\n")


def _any_exists(files: str) -> bool:
    return any(Path(file).exists() for file in files.split(os.pathsep))


def _same_cluster(mesh: Mesh, orders: Orders) -> None:
    if not orders.cluster:
        return
    found = mesh.namespace("kube-system")
    uid = str(found["metadata"].get("uid", "")) if found is not None else ""
    if uid != orders.cluster:
        raise MeshError(
            f"the context {orders.context!r} leads to another cluster now: kube-system has UID {uid or '(none)'}, "
            f"and was {orders.cluster} when the run was planned",
            hint="the kubeconfig was changed meanwhile: check it and run again",
        )


def main(stdin: int = 0, stdout: int = 1) -> int:
    """The process: orders come as the pipe's first line; its end is what it waits for."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    pipe = _Pipe(stdin)
    line = pipe.line()
    if line is None:
        return 0  # the run died before it gave orders, so before it wrote anything
    raw = json.loads(line)
    orders = Orders(**{**raw, "namespaces": tuple(raw["namespaces"])})
    folder = Path(orders.folder)
    try:
        mesh: Mesh = resolve_name(orders.client)(orders.kubeconfig, orders.context)
        _same_cluster(mesh, orders)
        for namespace in orders.namespaces:
            mesh.injected(namespace, run=orders.run)
    except HarnessError as error:
        _answer(stdout, {"error": error.message, "hint": error.hint})
        return 1
    _answer(stdout, {"ready": True})
    why = _await_call(pipe, orders.parent)
    deeds = Deeds(run=orders.run, pid=os.getpid(), why=why, called=rfc3339(time.time()))
    if why != "released":
        clean(
            mesh,
            orders.namespaces,
            deeds,
            patience=orders.patience,
            note=lambda deeds: _report(deeds, folder),
            orphaned=lambda: orders.kubeconfig is not None and not _any_exists(orders.kubeconfig),
        )
    deeds.ended = rfc3339(time.time())
    _report(deeds, folder)
    with contextlib.suppress(OSError):
        log = folder / "watchdog.log"
        if log.stat().st_size == 0:
            log.unlink()
    return 0 if deeds.clean in (None, True) else 1


if __name__ == "__main__":
    sys.exit(main())
