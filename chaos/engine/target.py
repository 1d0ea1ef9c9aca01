"""Looks, while a fault is active, whether it still is what was planned, off the thread that decides.

An API server that hangs must not hold up a run, which has to check guardrails and signals meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from chaos.engine.planning import governing_now
from chaos.errors import MeshError
from chaos.injection.effect import governing_of
from chaos.model.events import TroubleKind
from chaos.model.marks import FROZEN
from chaos.model.plan import Plan
from chaos.model.situation import Situation
from chaos.ports import Clock, Mesh, Object
from chaos.values.remarks import Refusal

EVERY: Final = 2.0
"""Seconds between two looks."""


@dataclass(frozen=True)
class Found:
    """What a look found: why the run must end, or why nobody can tell; neither where all is well."""

    trouble: TroubleKind | None = None
    message: str = ""


class TargetWatch:
    """The injected object is still ours and still governs, and nobody froze the namespace.

    VirtualServices of all namespaces are followed, not listed at each look: one of any namespace may take over. All else is
    taken to be as it was when the object was ``written``.
    """

    def __init__(self, mesh: Mesh, clock: Clock, plan: Plan, situation: Situation, written: Object) -> None:
        self._mesh = mesh
        self._clock = clock
        self._plan = plan
        self._situation = situation
        self._written = written
        self._followed = mesh.follow_virtual_services()
        self._begun = float("-inf")
        self._looking = False
        self._found: Found | None = None
        self._well: tuple[int, str] | None = None

    def look(self) -> Found | None:
        """What the latest look found, once; ``None`` while it lasts and until the next one is due. Never waits."""
        if not self._looking and self._clock.now() - self._begun >= EVERY:
            self._begun = self._clock.now()
            self._looking = True
            self._clock.beside(self._ask)
        found, self._found = self._found, None
        return found

    def stop(self) -> None:
        """Looks no more; never waits, safe to call twice."""
        self._followed.stop()

    def _ask(self) -> None:
        try:
            self._found = self._asked()
        except MeshError as error:
            self._found = Found(message=error.message)
        except Exception as error:  # noqa: BLE001 - the thread's edge: a bug of ours must not leave a fault unwatched
            self._found = Found(TroubleKind.BROKEN, f"{type(error).__name__}: {error}")
        finally:
            self._looking = False

    def _asked(self) -> Found:
        meta = self._written["metadata"]
        place = self._mesh.namespace(meta["namespace"])
        marks = (place["metadata"].get("annotations") or {}) if place is not None else {FROZEN: "it is gone"}
        if FROZEN in marks:
            return Found(TroubleKind.FROZEN, f"the namespace {meta['namespace']} was frozen: {marks[FROZEN]}")
        changes = self._followed.changes
        own = self._mesh.virtual_service(meta["namespace"], meta["name"])
        state = (changes, str(own["metadata"].get("resourceVersion")) if own is not None else "")
        if state != self._well:
            others = [vs for vs in self._followed.objects() if _place(vs) != _place(self._written)]
            situation = replace(self._situation, virtual_services=[*others, own] if own is not None else others)
            found = governing_of(self._plan.experiment, situation)
            if wrong := self._wrong(found if not isinstance(found, Refusal) else None):
                # What is heard may be late, so the last word is a list's.
                wrong = self._wrong(governing_now(self._mesh, self._plan, self._situation))
            if wrong:
                return Found(TroubleKind.TARGET_CHANGED, wrong)
            self._well = state
        return Found()

    def _wrong(self, found: Object | None) -> str:
        if found is None or found["metadata"].get("uid") != self._written["metadata"].get("uid"):
            return "the injected object no longer governs the target"
        return "somebody edited the injected object" if found.get("spec") != self._written.get("spec") else ""


def _place(obj: Object) -> Sequence[str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
