"""What people and programs do with labs: up, down, status, control-plane. CLI and fixtures call nothing else."""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx

from chaos.errors import InputError, LabError
from chaos.lab import needed, supervising
from chaos.lab.processes import Memory, memory_of, tail
from chaos.lab.state import DEFAULT_NAME, LabFiles, LabState, SupervisorLock
from chaos.lab.wanted import THE_SHOP, Wanted

START_TIMEOUT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a lab.

    Attributes:
        name: ``supervisor``, ``prometheus``, ``apps``, ``envoy <namespace>/<pod>`` …
        pid: Its process; several parts may live in one.
        alive: Whether it works.
        detail: What it does, or why it is dead, with the last lines of its log.
        memory: What its process keeps in memory; ``None`` for a dead one.
    """

    name: str
    pid: int | None
    alive: bool
    detail: str
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class LabStatus:
    """How a lab is.

    Attributes:
        running: Whether its supervisor lives.
        detail: In words, for a lab that isn't simply running.
        parts: Empty where nothing runs.
    """

    name: str
    running: bool
    detail: str
    state: LabState | None = None
    parts: tuple[Part, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the lab and all of its parts run."""
        return self.running and self.state is not None and all(part.alive for part in self.parts)

    @property
    def memory(self) -> Memory:
        """The sum over the lab's processes."""
        each = {part.pid: part.memory for part in self.parts if part.memory is not None}.values()
        return Memory(sum(one.resident for one in each), sum(one.proportional for one in each))


def up(
    name: str = DEFAULT_NAME,
    *,
    attached: bool = False,
    owner: int | None = None,
    timeout: float = START_TIMEOUT,
    told: Callable[[str], None] = lambda _: None,
    wanted: Wanted = THE_SHOP,
) -> LabState:
    """Starts a lab and returns when all of it is ready; a lab of this name that runs already is returned as it is.

    Args:
        name: Labs with different names live side by side.
        attached: The lab ends when the calling process ends, in whatever way. Otherwise it runs on until ``down``.
        owner: Process with which the lab ends instead; several processes may then ask for the lab, and one starts it.
        timeout: Seconds that the start may take.
        told: Hears that Prometheus is set up first, where it is missing, and which manifests are set aside.
        wanted: What it runs.

    Raises:
        InputError: The name can't be one, or the lab runs already and the manifests are for another.
        LabError: Something is missing, a part died, or it took too long. Nothing is left running then.
    """
    files = LabFiles.of(name)
    needed.require(told)
    deadline = time.monotonic() + timeout
    if SupervisorLock.is_held(files.lock):
        if wanted.manifests:
            raise InputError(
                f"a lab {name!r} is running already, with what it was started with",
                hint=f"chaosctl lab down --name {name}, or another --name",
            )
        return _join(files, attached=attached, deadline=deadline)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as reports, tempfile.TemporaryFile() as errors:
        try:
            end_with = owner if owner is not None else os.getpid() if attached else None
            pid = supervising.spawn(name, wanted.arguments(), owner=end_with, stdout=writer, stderr=errors.fileno())
        finally:
            os.close(writer)
        try:
            said = supervising.listen(reports, deadline=deadline, told=told)
        except BaseException:
            supervising.end(pid)
            raise
        errors.seek(0)
        complaints = errors.read().decode(errors="replace").strip()
    if said is None:
        supervising.reap(pid, wait=True)
        raise LabError(f"the lab's supervisor died at its start:\n{complaints or tail(files.log)}")
    if said.get("busy"):  # another start was faster
        supervising.reap(pid, wait=True)
        return _join(files, attached=attached, deadline=deadline)
    if "error" in said:
        supervising.reap(pid, wait=True)
        raise LabError(said["error"], hint=said.get("hint"))
    state = files.read_state()
    if state is None:
        raise LabError(f"the lab {name!r} ended as soon as it was ready:\n{tail(files.log)}")
    return state


def down(name: str = DEFAULT_NAME) -> bool:
    """Ends a lab and removes its folder, also the residue of a lab that was killed.

    Returns:
        Whether a lab was running.
    """
    files = LabFiles.of(name)
    running = SupervisorLock.is_held(files.lock)
    if running:
        pid = supervising.holder(files)
        if pid is None:
            raise LabError(f"the lab {name!r} is being started or ended by another process", hint="try again")
        supervising.end(pid)
    if not SupervisorLock.is_held(files.lock):
        files.remove()
    return running


def status(name: str = DEFAULT_NAME) -> LabStatus:
    """The state of a lab, part by part. The residue of a lab that was killed is removed, and reported this once."""
    files = LabFiles.of(name)
    state = files.read_state()
    if not SupervisorLock.is_held(files.lock):
        if state is None:
            return LabStatus(name, running=False, detail="not running")
        lines = tail(files.log)
        files.remove()
        detail = f"the supervisor (process {state.pid}) was killed and all parts with it; what it left is removed now"
        return LabStatus(
            name, running=False, detail=f"{detail}; the last lines of its log:\n{lines}" if lines else detail
        )
    if state is None:
        return LabStatus(name, running=True, detail="starting")
    supervisor = Part("supervisor", state.pid, alive=True, detail="", memory=memory_of(state.pid))
    try:
        answer = _ask(state, "GET", "/lab/status")
    except LabError as error:
        silent = Part("supervisor", state.pid, alive=False, detail=error.message, memory=supervisor.memory)
        return LabStatus(name, running=True, detail="the supervisor does not answer", state=state, parts=(silent,))
    parts = [
        Part(
            raw["name"],
            raw["pid"],
            alive=raw["alive"],
            detail=raw["detail"],
            memory=memory_of(raw["pid"]) if raw["alive"] and raw["pid"] else None,
        )
        for raw in answer["parts"]
    ]
    failed = [part.name for part in parts if not part.alive]
    detail = f"failed: {', '.join(failed)}" if failed else "all parts run"
    return LabStatus(name, running=True, detail=detail, state=state, parts=(supervisor, *parts))


def control_plane(
    name: str = DEFAULT_NAME,
    *,
    delay: float | None = None,
    power: Literal["down", "up"] | None = None,
    rotate: bool = False,
) -> dict[str, Any]:
    """Slows, stops or resumes the pushes of a lab's control plane, or lets it renew every workload's certificate.

    Args:
        name: Which lab.
        delay: Seconds that every push waits from now on; 0 for none.
        power: ``down``: nothing is pushed until ``up``. The Envoys go on with what they have.
        rotate: New certificates now, as when the old ones are about to expire.

    Returns:
        The control plane's settings and statistics after the change.

    Raises:
        InputError: Not exactly one of these was asked for, or the delay is negative.
        LabError: No such lab is running.
    """
    if (delay is not None) + (power is not None) + rotate != 1:
        raise InputError("exactly one of a delay, `down`, `up` and new certificates is expected for the control plane")
    if delay is not None and not 0 <= delay <= 3600:
        raise InputError(f"the control plane's delay is from 0 s to 3600 s, not {delay}")
    state = running(name)
    if state is None:
        raise LabError(f"no lab {name!r} is running", hint=f"chaosctl lab up --name {name}")
    order: dict[str, Any] = {"certificates": "rotate"} if rotate else {"power": power} if power else {"delay": delay}
    return _ask(state, "POST", "/lab/control-plane", order)


def running(name: str = DEFAULT_NAME) -> LabState | None:
    """The state of a lab that runs and is ready; ``None`` where there is none."""
    files = LabFiles.of(name)
    return files.read_state() if SupervisorLock.is_held(files.lock) else None


def _join(files: LabFiles, *, attached: bool, deadline: float) -> LabState:
    """The state of a lab that someone else started."""
    if attached:
        raise LabError(
            f"a lab {files.name!r} is running already, and it ends with another process",
            hint=f"use another name, or end it: chaosctl lab down --name {files.name}",
        )
    while SupervisorLock.is_held(files.lock):
        state = files.read_state()
        if state is not None:
            return state
        if time.monotonic() > deadline:
            raise LabError(f"the lab {files.name!r}, which another process is starting, was not ready in time")
        time.sleep(0.05)
    raise LabError(f"the lab {files.name!r}, which another process was starting, has ended:\n{tail(files.log)}")


def _ask(state: LabState, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    try:
        plain = ssl.SSLContext(
            ssl.PROTOCOL_TLS_CLIENT
        )  # without certificates, which take 20 ms to load and are not needed
        answer = httpx.request(method, f"{state.api}{path}", json=body, timeout=5, trust_env=False, verify=plain)
    except httpx.TransportError as error:
        raise LabError(f"the lab's supervisor (process {state.pid}) does not answer: {error}") from error
    if answer.status_code != 200:
        raise LabError(f"the lab's supervisor refused {method} {path}: {answer.status_code} {answer.text}")
    said: dict[str, Any] = answer.json()
    return said
