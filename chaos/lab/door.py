"""The lab's one door: the module behind the entry point ``chaos.lab``. Nothing else of the lab is for the harness.

``chaos.adapters.embedded_lab.Lab`` says what has to be here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chaos.errors import LabError
from chaos.lab import commands
from chaos.lab.state import DEFAULT_NAME, LabFiles, LabState, SupervisorLock
from chaos.values.access import MeshAccess


def running() -> LabState | None:
    """The default lab; ``None`` where it does not run."""
    return commands.running(DEFAULT_NAME)


def use(own: str, *, owner: int, told: Callable[[str], None] = lambda _: None) -> LabState:
    """The default lab where it runs, else the lab with a name of the caller's own, which is started where it does not run.

    Args:
        own: Several processes may give the same name: one of them starts the lab, and all use it.
        owner: The process with which a lab that is started here ends at the latest.
        told: Hears, in words, that a lab is being started here, and that it is up.

    Raises:
        LabError: The default lab has a dead part, or a lab can't be started.
    """
    if running() is not None:
        found = commands.status(DEFAULT_NAME)
        if found.running:
            if not found.healthy or found.state is None:
                raise LabError(
                    f"the lab {found.name!r} is not whole: {found.detail}", hint="chaosctl lab down, then up"
                )
            return found.state
    already = commands.running(own)
    if already is not None:
        return already
    told("starting the lab …")
    state = commands.up(own, owner=owner, told=told)
    told(f"the lab is up: kubectl --kubeconfig {state.kubeconfig} get pods")
    return state


def end(name: str) -> None:
    """Ends a lab; nothing happens where it does not run."""
    if SupervisorLock.is_held(LabFiles.of(name).lock):
        commands.down(name)


def name_of(lab: MeshAccess) -> str:
    """The name of a lab that ``running`` or ``use`` has given, by which its commands know it."""
    return lab.name if isinstance(lab, LabState) else DEFAULT_NAME


def command(arguments: Sequence[str], *, staging_labels: Callable[[], Mapping[str, str]]) -> None:
    """Runs ``chaosctl lab`` with these arguments.

    Args:
        arguments: What stands behind ``chaosctl lab``.
        staging_labels: Gives the labels that mark a namespace as staging by the user's settings.

    Raises:
        HarnessError: What was asked for can't be done.
        SystemExit: Always otherwise, with the command's exit code.
    """
    from chaos.lab.cli import app

    app(args=list(arguments), prog_name="chaosctl lab", obj=staging_labels)
