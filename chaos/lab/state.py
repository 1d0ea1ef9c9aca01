"""Where a lab keeps its files, how it is recognised as alive, and what its users need to know of it."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from chaos.errors import InputError
from chaos.values.access import MeshAccess

DEFAULT_NAME: Final = "default"
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState(MeshAccess):
    """A running lab: how its mesh is reached, and what only the lab has. Written once when all is ready, never changed.

    The kubeconfig holds exactly one context, ``chaos-lab``, or ``chaos-lab-<name>`` for a lab with a name of its own.
    The entry is the ingress gateway of the first namespace.

    Attributes:
        name: The lab's name.
        api: URL of the Kubernetes API, without TLS.
        entries: URL of the ingress gateway of each namespace.
        namespaces: The shop's namespaces, staging first; or those of the manifests that were loaded instead.
        pid: The supervisor's process id.
        started: The supervisor's start in clock ticks since boot: with ``pid`` it names one process for ever.
        directory: The lab's folder: logs, Envoy configuration, metrics.
    """

    name: str
    api: str
    entries: dict[str, str]
    namespaces: tuple[str, ...]
    pid: int
    started: int
    directory: str

    def public(self) -> dict[str, Any]:
        """What ``chaosctl lab up --json`` prints."""
        return {
            "kubeconfig": self.kubeconfig,
            "context": self.context,
            "prometheus": self.prometheus,
            "entry": self.entry,
            "namespaces": list(self.namespaces),
            "pid": self.pid,
        }

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The state in a state file; raises ``ValueError`` where it is from another version or damaged."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or set(raw) != {field.name for field in dataclasses.fields(cls)}:
            raise ValueError("not a state file of this version")
        return cls(**{**raw, "namespaces": tuple(raw["namespaces"]), "staging": tuple(raw["staging"])})

    def to_json(self) -> str:
        """The text of a state file."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class LabFiles:
    """The paths in one lab's folder."""

    name: str
    directory: Path

    @classmethod
    def of(cls, name: str) -> Self:
        """The folder of the lab with this name; raises ``InputError`` for a name that can't be one."""
        if not _NAME.fullmatch(name):
            raise InputError(
                f"a lab's name is 1 to 40 lower-case letters, digits and dashes, not {name!r}", hint="try `default`"
            )
        return cls(name, home() / name)

    @property
    def state(self) -> Path:
        """Written when the lab is ready."""
        return self.directory / "state.json"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        """The supervisor's own log."""
        return self.logs / "supervisor.log"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.directory / "logs"

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig for this lab alone."""
        return self.directory / "kubeconfig"

    @property
    def context(self) -> str:
        """The name of the kubeconfig's context."""
        return "chaos-lab" if self.name == DEFAULT_NAME else f"chaos-lab-{self.name}"

    def read_state(self) -> LabState | None:
        """The state of a lab that is, or was, ready; ``None`` where there is none or it can't be read."""
        try:
            return LabState.from_json(self.state.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None

    def write_state(self, state: LabState) -> None:
        """Puts the state in place at once, so that nobody reads half of it."""
        write_atomically(self.state, state.to_json())

    def remove(self) -> None:
        """Removes the folder and all that is in it."""
        shutil.rmtree(self.directory, ignore_errors=True)


class SupervisorLock:
    """The lock that a supervisor holds while it lives; the kernel releases it however the supervisor ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Takes the lock; ``False`` where another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if not _same_file(descriptor, self._path):
            # Someone cleaned the folder up between our open and our lock: what we hold names nothing any more.
            os.close(descriptor)
            return self.acquire()
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Gives the lock back; no effect where it isn't held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether some process holds the lock."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)


def home() -> Path:
    """The folder of all labs: ``$CHAOS_LAB_HOME``, else ``labs`` in the user's state folder (XDG base directories)."""
    own = os.environ.get("CHAOS_LAB_HOME")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state").absolute() / "istio-chaos" / "labs"


def write_atomically(path: Path, text: str, *, private: bool = False) -> None:
    """Replaces a file's content in one step; a private file is for its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if private:
        draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
