"""Looks, while faults are active, whether they still are what was planned, and whether somebody froze their namespaces.

Off the thread that decides: an API server that hangs must not hold up a run, which has to check guardrails and signals
meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chaos.engine.beside import Beside, Insistent
from chaos.engine.planning import governing_now
from chaos.errors import MeshError
from chaos.injection.effect import governing_of
from chaos.injection.ownership import others, owners_of
from chaos.model.events import TroubleKind
from chaos.model.experiment import Experiment
from chaos.model.marks import FROZEN
from chaos.model.situation import Situation
from chaos.ports import Clock, Informer, Mesh, Object
from chaos.values.remarks import Refusal

EVERY: Final = 2.0
"""Seconds between two looks at the targets."""
_FROZEN_EVERY: Final = 0.5
"""Seconds between two looks at the namespaces: a freeze is an emergency stop."""


@dataclass(frozen=True)
class Found:
    """What a look found: why the run must end, or why that is not known; neither if all is well."""

    trouble: TroubleKind | None = None
    message: str = ""


@dataclass
class Watched:
    """A target that is watched.

    Args:
        experiment: With that target alone.
        situation: What there was around it.
        written: The injected object as it was written first.
        specs: What its spec may be now; while a stage follows another, that of either.
    """

    experiment: Experiment
    situation: Situation
    written: Object
    specs: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.specs = self.specs or (self.written.get("spec"),)


class FreezeWatch:
    """Whether somebody freezes a namespace of the run. It is asked again while an earlier question hangs."""

    def __init__(self, mesh: Mesh, clock: Clock, namespaces: Sequence[str]) -> None:
        self._mesh = mesh
        self._clock = clock
        self._namespaces = namespaces
        self._asking = Insistent(clock, self._ask)
        self._begun = float("-inf")

    def look(self) -> str:
        """Which namespace is frozen, and why; empty as long as none is known to be. Never waits."""
        if self._clock.now() - self._begun >= _FROZEN_EVERY:
            self._begun = self._clock.now()
            self._asking.begin()
        return next(filter(None, (one.result() for one in self._asking.ended())), "")

    def _ask(self) -> str:
        for name in self._namespaces:
            try:
                place = self._mesh.namespace(name)
            except MeshError:
                continue  # who looks at the target says that the API does not answer
            if place is None:
                return f"the namespace {name} no longer exists"
            marks = place["metadata"].get("annotations") or {}
            if FROZEN in marks:
                return f"somebody froze the namespace {name} for chaos runs, for the reason {marks[FROZEN]!r}"
        return ""


class TargetWatch:
    """The injected objects are still ours and still govern.

    VirtualServices of all namespaces are ``followed``, not listed at each look: one of any namespace may take over. All else is
    taken to be as it was when the objects were written.
    """

    def __init__(self, mesh: Mesh, clock: Clock, watched: Sequence[Watched], followed: Informer) -> None:
        self._mesh = mesh
        self._clock = clock
        self.watched = watched
        self._followed = followed
        self._begun = float("-inf")
        self._asking: Beside[Found] | None = None
        self._well: dict[str, tuple[int, str]] = {}

    def look(self) -> Found | None:
        """What the latest look found, once; ``None`` while it lasts and until the next one is due. Never waits."""
        if self._asking is None and self._clock.now() - self._begun >= EVERY:
            self._begun = self._clock.now()
            self._asking = Beside(self._clock, self._ask)
        if self._asking is None or not self._asking.done:
            return None
        found, self._asking = self._asking.result(), None
        return found

    def _ask(self) -> Found:
        try:
            wrong = next(filter(None, map(self._changed, self.watched)), "")
        except MeshError as error:
            return Found(message=error.message)
        return Found(TroubleKind.TARGET_CHANGED, wrong) if wrong else Found()

    def _changed(self, one: Watched) -> str:
        """What somebody changed at a target; empty if it is as it was written."""
        changes = self._followed.changes
        own = self._mesh.virtual_service(*_place(one.written))
        state = (changes, str(own["metadata"].get("resourceVersion")) if own is not None else "")
        if state == self._well.get(str(one.experiment.target)):
            return ""
        others = [vs for vs in self._followed.objects() if _place(vs) != _place(one.written)]
        situation = replace(one.situation, virtual_services=[*others, own] if own is not None else others)
        found = governing_of(one.experiment, situation)
        wrong = _wrong(one, found if not isinstance(found, Refusal) else None)
        if wrong:
            # What is heard may be late, so the last word is a list's.
            wrong = _wrong(one, governing_now(self._mesh, one.experiment, one.situation))
        if wrong:
            return wrong
        self._well[str(one.experiment.target)] = state
        return ""


def _wrong(one: Watched, found: Object | None) -> str:
    target, ours = one.experiment.target, f"VirtualService {'/'.join(_place(one.written))}, which has this run's fault"
    if found is None:
        return f"{ours}, no longer governs {target}: none does"
    if found["metadata"].get("uid") != one.written["metadata"].get("uid"):
        return f"{ours}, no longer governs {target}: {'/'.join(_place(found))} does{_by(found)}"
    return f"somebody edited {ours} for {target}{_by(found)}" if found.get("spec") not in one.specs else ""


def _by(obj: Object) -> str:
    """Who else wrote an object last, by its ``managedFields``."""
    entries = others(owners_of(obj))
    latest = max(entries, key=lambda entry: str(entry.get("time", "")), default=None)
    return f", last written by {latest.get('manager')}" if latest is not None else ""


def _place(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
