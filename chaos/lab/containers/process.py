"""What the user declares of a process: in the behaviours file, which nobody but the user hands to the lab.

An object of the API can't do that: whoever may write to the lab's API could then run any command on this machine.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from chaos.errors import InputError
from chaos.lab.workloads.behaviour import Declared

KEY: Final = "process"
Port = Annotated[int, Field(ge=1, le=65535)]


class Process(Declared):
    """A command that answers for a workload's pods.

    Attributes:
        command: The program and its arguments. It is looked for on ``PATH``, or in ``directory`` where it has a slash.
        directory: Where it runs, from the folder of the file that names it; by default that folder.
        env: Variables beside those of the manifest's container, which they override.
        ports: By container port, the port that the program really listens on, where that is another.
        container: The container that it stands for; by default the first one of the pod that has a port.
    """

    command: tuple[str, ...] = Field(min_length=1)
    directory: Path = Path()
    env: dict[str, str] = Field(default_factory=dict)
    ports: dict[Port, Port] = Field(default_factory=dict)
    container: str | None = Field(None, min_length=1)


def parse(value: Any, *, where: str, folder: Path) -> Process:
    """The declaration in a file of this folder.

    Raises:
        InputError: It is none, its folder is not there, or its program is not found.
    """
    try:
        declared = Process.model_validate(value)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {_words(one)}" for one in error.errors())
        raise InputError(
            f"{where}: {'; '.join(problems)}",
            hint="a process has command, directory, env, ports and container (docs/how-to/own-services.md)",
        ) from None  # what pydantic says quotes the values of env
    directory = (folder / declared.directory.expanduser()).resolve()
    if not directory.is_dir():
        raise InputError(f"{where}.directory: expected a folder, found none at {directory}")
    program = declared.command[0]
    found = shutil.which(str(directory / program) if os.sep in program else program)
    if found is None:
        place = f"in {directory}" if os.sep in program else "on PATH"
        raise InputError(
            f"{where}.command: expected a program that can be run, found no {program!r} {place}",
            hint="name the program and each of its arguments: [python3, app.py]",
        )
    return declared.model_copy(update={"directory": directory, "command": (found, *declared.command[1:])})


_WORDS: Final = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "string_type": "expected a text (numbers in quotes)",
    "tuple_type": "expected a list of words",
    "too_short": "expected at least one word",
    "dict_type": "expected a mapping",
}


def _words(problem: Any) -> str:
    return str(_WORDS.get(problem["type"], problem["msg"]))
