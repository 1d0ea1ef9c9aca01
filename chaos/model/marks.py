"""Names, labels and annotations by which everything that the harness writes is known again.

No key contains ``istio.io``: istiod would push configuration for every later edit of the object's metadata
(istiod ``pilot/pkg/model/config_compare.go`` NeedsPush).
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Final

PREFIX: Final = "chaos-harness.dev"
FIELD_MANAGER: Final = "istio-chaos"
"""Our name in ``metadata.managedFields``, and as the source of Events."""
RUN_LABEL: Final = f"{PREFIX}/run"
EXPERIMENT_LABEL: Final = f"{PREFIX}/experiment"
OWNER_LABEL: Final = f"{PREFIX}/owner"
EXPIRES: Final = f"{PREFIX}/expires"
FILE: Final = f"{PREFIX}/file"
UNDO: Final = f"{PREFIX}/undo"
"""Annotation on somebody else's VirtualService that carries a fault: whose it is, the digest of the spec before, and who
owned which field. It stays until the fields are their owners' again, a write after the fault is out."""
TARGET: Final = f"{PREFIX}/target"
"""Annotation: name and UID of the Service that is hit, so that whoever cleans up can post an Event on it."""
FROZEN: Final = f"{PREFIX}/frozen"
"""Annotation on a namespace: no new injection, and every live run restores."""
CHANGE: Final = f"{PREFIX}/change"
"""Annotation on a lease that is for a change of Istio's configuration: what was there before, and what is there meanwhile."""
CHANGED: Final = f"{PREFIX}/changed"
"""Annotation on an object that is changed for a while: the run that puts it back."""
CHANGE_MANAGER: Final = "istio-chaos-change"
"""Our name in ``metadata.managedFields`` of these: another one, so that nobody takes a change for a fault."""
RUN_HEADER: Final = "x-chaos-run"
"""Header that every request of the load carries, with the run's id."""

ALPHABET: Final = "abcdefghjkmnpqrstvwxyz23456789"


def new_run() -> str:
    """A run's id: eight characters that can't be mistaken for each other."""
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def own_name(run: str, service: str, *, stage: int = 1) -> str:
    """Name of the VirtualService that a run creates for a target, and of the routes with its fault, as proxies show them.

    A run has one of each name, so that a write of unknown fate can be read back, and a proxy be asked for one target's fault.
    From the second stage of a fault on, its routes have the number of the stage in their name.
    """
    return f"{prefix_of(run)}{service}" + (f".{stage}" if stage > 1 else "")


def run_of_route(name: str) -> str:
    """The run whose route has this name, which ``own_name`` made."""
    return name.split("-")[1]


def label_value(text: str) -> str:
    """Text as a label's value: at most 63 characters of the allowed ones."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("-._")


def labels_for(*, run: str, experiment: str, owner: str | None) -> dict[str, str]:
    """The labels of everything that a run writes."""
    labels = {RUN_LABEL: run, EXPERIMENT_LABEL: label_value(experiment)}
    if owner:
        labels[OWNER_LABEL] = label_value(owner)
    return labels


def annotations_for(*, expires: datetime, file: str = "", target: tuple[str, str] = ("", "")) -> dict[str, str]:
    """The annotations of an injected object: when it is void, where it was declared, which Service (name, UID) it hits."""
    notes = {EXPIRES: expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if file:
        notes[FILE] = file
    if target[0]:
        notes[TARGET] = "/".join(target)
    return notes


def prefix_of(run: str) -> str:
    """What the names of all objects that a run creates start with, and those of its routes in whatever object."""
    return f"chaos-{run}-"
