"""Reads the marks that the harness puts on what it writes (their names are in ``chaos.model.marks``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from chaos.injection.ownership import still_owns
from chaos.injection.patching import carries_fault, undo_of
from chaos.model.marks import (
    ALPHABET,
    EXPERIMENT_LABEL,
    EXPIRES,
    OWNER_LABEL,
    RUN_LABEL,
    TARGET,
    prefix_of,
)

Object = Mapping[str, Any]
Part = Literal["object", "fault", "ownership"]
"""What of an object is a run's: all of it, a fault in somebody else's, or no more than who owns its fields."""

_OWN: Final = re.compile(prefix_of(f"([{ALPHABET}]{{8}})"))
"""How the names of a run's objects and routes begin."""


def _labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def is_ours(obj: Object) -> bool:
    """Whether the harness wrote this object, or something into it that is not made good yet."""
    return bool(run_of(obj)) or still_owns(obj)


def run_of(obj: Object) -> str:
    """The run that wrote an object, or into it; by the other marks where somebody removed the label."""
    found = _labels(obj).get(RUN_LABEL) or undo_of(obj).get("run")
    if not found and EXPIRES in (obj["metadata"].get("annotations") or {}):
        name = _OWN.match(str(obj["metadata"]["name"]))
        found = name[1] if name else ""
    if not found and still_owns(obj):  # our marks were taken off, and our routes not
        names = (str(route.get("name")) for route in (obj.get("spec") or {}).get("http") or ())
        found = next((route[1] for name in names if (route := _OWN.match(name))), "")
    return str(found or "")


def belongs_to(obj: Object, run: str | None) -> bool:
    """Whether an object has something of a run, or, with ``None``, of any run.

    Of a run that is named, a route with its name is enough, if that is a run's at all: others may have removed every
    other mark. Without a run it is not: ``chaos-`` may begin the names of other people's routes, too.
    """
    if run is None:
        return is_ours(obj)
    by_route = _OWN.fullmatch(prefix_of(run)) is not None and carries_fault(obj, run)
    return by_route or (is_ours(obj) and run_of(obj) == run)


def is_made(obj: Object, run: str) -> bool:
    """Whether a run created this object, so that undoing is deleting; else it is somebody else's, with a fault in it."""
    return bool(run) and str(obj["metadata"]["name"]).startswith(prefix_of(run)) and not undo_of(obj)


def part_of(obj: Object, run: str) -> Part:
    """What of an object that carries a run's marks is the run's."""
    if obj.get("kind") == "Lease" or is_made(obj, run):
        return "object"
    return "fault" if carries_fault(obj, run) else "ownership"


def target_of(obj: Object) -> Object | None:
    """The Service that is hit, as far as the object names it; enough to post an Event on."""
    name, _, uid = str((obj["metadata"].get("annotations") or {}).get(TARGET) or "").partition("/")
    if not name:
        return None
    meta = {"name": name, "namespace": obj["metadata"].get("namespace", ""), "uid": uid}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {k: v for k, v in meta.items() if v}}


def experiment_of(obj: Object) -> str:
    """The experiment, as far as a label can hold its name."""
    return str(_labels(obj).get(EXPERIMENT_LABEL, ""))


def owner_of(obj: Object) -> str:
    """Who answers for the experiment; empty where nobody is named."""
    return str(_labels(obj).get(OWNER_LABEL, ""))


def expires(obj: Object) -> float | None:
    """When the object is void, in Unix seconds; ``None`` where it does not say, or not in a form that can be read."""
    return unix((obj["metadata"].get("annotations") or {}).get(EXPIRES))


def describe(obj: Object) -> str:
    """``VirtualService staging/chaos-k3x9q2ab-inventory-svc``."""
    meta = obj["metadata"]
    return f"{obj.get('kind') or 'object'} {meta.get('namespace', '')}/{meta['name']}"


def describe_part(obj: Object, run: str) -> str:
    """What of an object is a run's, in words: ``the fault in VirtualService staging/inventory``."""
    said = {"object": "", "fault": "the fault in ", "ownership": "the field ownership of "}
    return f"{said[part_of(obj, run)]}{describe(obj)}"


def unix(time: object) -> float | None:
    """An RFC 3339 time, with or without fractions, in Unix seconds; ``None`` for anything else."""
    try:
        moment = datetime.fromisoformat(str(time))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def micro_time(at: float) -> str:
    """Unix seconds as Kubernetes' ``MicroTime``, the form of a Lease's times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339(at: float) -> str:
    """Unix seconds for people, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
