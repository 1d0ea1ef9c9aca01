"""Changes Istio's configuration for a while, each object under a lease of its own, and puts it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from chaos.engine.place import Place
from chaos.engine.planning import calling, look_around
from chaos.engine.surroundings import Watch, Watched
from chaos.errors import InputError, MeshError, Refused
from chaos.guard.changes import ChangeDraft, check_change, refuse
from chaos.injection.patching import LARGEST
from chaos.injection.putting_back import Step, is_in, put_in, without_mark
from chaos.istio.hosts import resolve_host
from chaos.istio.resources import BY_NAME, Reaches
from chaos.model.marks import CHANGE, CHANGED
from chaos.model.mesh_change import MeshChange, Object, Wanted, kept_of, spec_of
from chaos.ports import Clock
from chaos.safety.changes import do, held_by, put_all_back, try_out
from chaos.safety.lease import Held, owner_reference
from chaos.safety.lock import acquire
from chaos.safety.retry import persist

_TRIES: Final = 5
"""Attempts while others write the same object."""
_DEADLINE: Final = 10.0
"""Seconds for which the block itself puts back; after that the watchdog does."""
_PAUSE: Final = 0.5


@dataclass(frozen=True)
class Writes:
    """What the watchdog would put back."""

    run: str
    namespaces: tuple[str, ...]


@contextmanager
def changed(
    place: Place,
    wanted: Sequence[Wanted],
    *,
    run: str,
    watch: Callable[[Watched], Watch],
    clock: Clock,
    lease: float,
) -> Iterator[None]:
    """All is as wanted while the block lasts; see ``Harness.changed``.

    Raises:
        InputError: something that is to be away is not there.
        Refused: a staging rule forbids one; nothing was written.
        Locked: another run changes one of the objects now.
        MeshError: the API failed, or the changes were not there all the time.
        MetricsError: nobody can tell who calls the hosts of an object; nothing was written.
    """
    changes = [Change(place, one, run=run, clock=clock, lease=lease) for one in wanted]
    for one in changes:
        one.check()
    watching = watch(Writes(run, tuple(dict.fromkeys(one.namespace for one in wanted))))
    lost: list[str] = []
    try:
        for one in changes:
            one.begin()
        yield
        lost = [why for one in changes if (why := one.lost())]
    finally:
        end_all(changes, watching, clock)
    if lost:
        raise MeshError(
            f"a change did not last until its end: {'; '.join(lost)}",
            hint="what was observed during the change proves nothing: keep others from writing there, and repeat it",
        )


def end_all(changes: Sequence[Change], watching: Watch, clock: Clock) -> None:
    """Puts all back and lets the watchdog go; what can't be put back yet is left to it.

    Raises:
        MeshError: something is left.
    """
    left = persist(
        lambda: "; ".join(why for one in reversed(changes) if (why := one.end())),
        clock=clock,
        deadline=_DEADLINE,
        pause=_PAUSE,
        said=lambda _: None,
    )
    if not left:
        watching.release()
        return
    for one in changes:
        one.let_go()
    watching.abandon()
    raise MeshError(
        f"a change could not be put back yet: {left}", hint="the watchdog goes on; chaosctl status shows what is left"
    )


class Change:
    """One object that is changed."""

    def __init__(
        self, place: Place, wanted: Wanted, *, run: str, clock: Clock, lease: float, later: Sequence[Object] = ()
    ) -> None:
        self._place, self._mesh, self._wanted = place, place.mesh, wanted
        self._run, self._clock, self._lease = run, clock, lease
        self._later = tuple(later)
        self._change: MeshChange | None = None
        self._held: Held | None = None

    def check(self) -> tuple[MeshChange, Object | None]:
        """The change and the object that it changes, if the rules allow it and the API server would take it.

        Raises:
            InputError: it is to be away and is not there.
            Refused: a rule forbids it, or the API server does.
            MeshError: the API can't be read.
        """
        one = self._wanted
        live = self._mesh.istio_object(one.kind, one.namespace, one.name)
        if live is None and one.spec is None:
            raise InputError(f"there is no {one.title} that could be removed for a while")
        before = kept_of(live) if live is not None else None
        change = MeshChange(
            kind=one.kind, namespace=one.namespace, name=one.name, before=before, after=one.spec, later=self._later
        )
        self._refuse(change)
        if len(change.record.encode()) > LARGEST:
            raise Refused(
                f"{one.title} is too large to be kept on its lease, so it could not be put back after a crash"
            )
        stored = self._tried(change, live)
        return (change if stored is None else change.model_copy(update={"after": spec_of(stored)})), live

    def _refuse(self, change: MeshChange) -> None:
        place = self._place
        around = look_around(
            place.mesh, change.namespace, cluster=place.environment.cluster, root=place.settings.root_namespace,
            writable_outside=place.writable_outside,
        )  # fmt: skip
        draft = ChangeDraft(
            change=change, situation=around, settings=place.settings, lab=place.environment.lab,
            calling=calling(place.metrics, _hosts_of(change)),
        )  # fmt: skip
        refuse(check_change(draft))

    def _tried(self, change: MeshChange, live: Object | None) -> Object | None:
        """The object as the API server would store it."""
        step = put_in(change, live, run=self._run, owner={})
        meta = {key: value for key, value in step.obj["metadata"].items() if key != "ownerReferences"}
        obj = {**step.obj, "metadata": meta}
        return try_out(self._mesh, Step(step.do, obj), self._wanted.title)

    def begin(self) -> None:
        """Takes the lease, with the record of what was there, and writes.

        Raises:
            HarnessError: nothing is changed, or ``end`` puts it back.
        """
        for left in reversed(range(_TRIES)):
            change, live = self.check()
            held = acquire(
                self._mesh, namespace=change.namespace, service=held_by(change.kind, change.name), run=self._run,
                experiment=f"change-of-{change.name}", owner=None, duration=self._lease, sleep=self._clock.sleep,
                notes={CHANGE: change.record},
            )  # fmt: skip
            self._change, self._held = change, held
            try:
                do(self._mesh, put_in(change, live, run=self._run, owner=owner_reference(held.obj)))
                return
            except MeshError as error:
                if not error.refused:
                    raise  # it may have happened, or happen yet
                held.release()
                self._change = None
                if error.status not in (404, 409) or not left:
                    raise

    def go_on(self, spec: Object) -> None:
        """Writes the next of the later specs over the present one, if the rules still allow it.

        Raises:
            Refused: a rule forbids it by now; ``end`` puts it back.
            MeshError: somebody wrote the object, or the API failed; likewise.
            MetricsError: nobody can tell who calls the hosts by now; likewise.
        """
        assert self._change is not None  # noqa: S101 - it has begun
        self._refuse(self._change)
        live = self._live(self._change)
        if live is None or not is_in(self._change, live, run=self._run):
            raise MeshError(f"somebody wrote {self._wanted.title}")
        do(self._mesh, Step("replace", {**live, "spec": spec}))

    def keep(self) -> str:
        """Keeps the present object: deletes the lease, and then the mark; returns what is left of them.

        Raises:
            MeshError: the lease may still be there, so that the change has to be put back.
        """
        assert self._change is not None  # noqa: S101 - it has begun
        assert self._held is not None  # noqa: S101
        change = self._change
        self._held.release()
        self._change = None
        try:
            live = self._live(change)
            if live is not None:
                do(self._mesh, Step("replace", without_mark(live)))
        except MeshError as error:
            return f"{self._wanted.title} still has the annotation {CHANGED}, which does no harm: {error.message}"
        return ""

    def _live(self, change: MeshChange) -> Object | None:
        return self._mesh.istio_object(change.kind, change.namespace, change.name)

    def lost(self) -> str:
        """Why the change was not there until now; empty where it was.

        Raises:
            MeshError: the cluster can't be read.
        """
        assert self._change is not None  # noqa: S101 - it has begun
        assert self._held is not None  # noqa: S101
        change = self._change
        if why := self._held.check():
            return f"the lease of {self._wanted.title} was lost: {why}"
        return "" if is_in(change, self._live(change), run=self._run) else f"somebody wrote {self._wanted.title}"

    def end(self) -> str:
        """Puts it back and gives the lease back; what went wrong, empty where nothing did. Safe to call twice."""
        if self._change is None or self._held is None:
            return ""
        try:
            put_all_back(self._mesh, self._change, run=self._run)
            self._held.release()
        except MeshError as error:
            return error.message
        self._change = None
        return ""

    def let_go(self) -> None:
        """Renews the lease no more, so that others may put it back."""
        if self._held is not None:
            self._held.stop()


def _hosts_of(change: MeshChange) -> Sequence[str]:
    """The hosts whose callers follow the object."""
    if BY_NAME[change.kind].reaches is not Reaches.EXPORTED:
        return ()
    specs = [spec_of(change.before)] if change.before is not None else []
    specs += [change.after] if change.after is not None else []
    named = [
        host for spec in specs for host in (*(spec.get("hosts") or ()), *([spec["host"]] if "host" in spec else []))
    ]
    return tuple(dict.fromkeys(resolve_host(str(host), change.namespace) for host in named))
