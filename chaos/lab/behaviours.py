"""The behaviours file: what answers for each workload, a stand-in that does as it says, or a process of the user's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from chaos.errors import InputError
from chaos.lab.containers import process
from chaos.lab.containers.process import Process
from chaos.lab.workloads.behaviour import Behaviour
from chaos.values.unreadable import UNREADABLE, fault_of


@dataclass(frozen=True)
class Behaviours:
    """By the names of workloads, or of their pods' label ``app``.

    Attributes:
        standins: Behaviours of stand-ins, as the text of their annotation.
        processes: Commands that are run instead.
    """

    standins: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, Process] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """All that the file names."""
        return frozenset((*self.standins, *self.processes))

    def name_of(self, workload: str, labels: Mapping[str, str]) -> str | None:
        """The name that stands for a workload; its own before that of its label."""
        return next((name for name in (workload, labels.get("app", "")) if name in self.names), None)


def read(file: Path) -> Behaviours:
    """What the file says.

    Raises:
        InputError: It can't be read, or something in it is neither a behaviour nor a process.
    """
    try:
        content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except UNREADABLE as error:
        raise InputError(f"{file}: can't be read as YAML: {fault_of(error)}") from None
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise InputError(f"{file}: expected a mapping from Deployments' names to behaviours or processes")
    standins: dict[str, str] = {}
    processes: dict[str, Process] = {}
    for name, value in content.items():
        where = f"{file}: {name}"
        if process.KEY in value:
            if len(value) > 1:
                more = ", ".join(sorted(set(map(str, value)) - {process.KEY}))
                raise InputError(
                    f"{where}: expected either a process or what a stand-in does, got a process and {more}"
                )
            where = f"{where}.{process.KEY}"
            processes[str(name)] = process.parse(value[process.KEY], where=where, folder=file.resolve().parent)
        else:
            text = json.dumps(value)
            Behaviour.parse(text, where=where)
            standins[str(name)] = text
    return Behaviours(standins, processes)
