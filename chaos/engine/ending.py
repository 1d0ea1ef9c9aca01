"""How a run ends, in every case: it restores, waits for the fault's removal, and gives everything back."""

from __future__ import annotations

from functools import partial
from typing import Final

from chaos.engine.injecting import restore_all
from chaos.engine.live import TICK, Live
from chaos.engine.phases import QUICK
from chaos.engine.proxies import PATIENCE, Proxies
from chaos.errors import LoadError, MeshError
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.history import Mark, PhaseName
from chaos.safety import residue
from chaos.safety.removal import announce
from chaos.safety.retry import persist
from chaos.values.answers import Answer

_SETTLE: Final = 15.0
"""Seconds for which the last answers of the metrics are waited for."""
_RELEASE: Final = 15.0
"""Seconds within which the lease must be given back, or the watchdog takes over."""


def restore(live: Live) -> None:
    """Takes every fault out of the API of which a write was attempted."""
    live.leases.close()
    for made in live.injectors:
        made.close()
    attempted = [made for made in live.injectors if made.attempted]
    if not attempted:
        return
    live.mark(Mark.RESTORE_SENT)
    live.enter(PhaseName.RESTORE)
    if left := restore_all(attempted, clock=live.clock, said=partial(_retried, live)):
        live.trouble(TroubleKind.MESH_LOST, f"the run could not restore: {left}")
        return
    live.mark(Mark.RESTORED)
    for made in attempted:
        injection = made.injection
        live.event(
            events.Restored(at=live.now(), object=injection.place, strategy=injection.strategy, exact=made.exact)
        )
        message = f"run {live.plan.run} ended its fault"
        announce(live.place.mesh, made.written or injection.after, reason="ChaosFaultEnded", message=message)


def _retried(live: Live, why: str) -> None:
    live.event(events.RestoreRetried(at=live.now(), why=why))


def await_removal(live: Live) -> None:
    """Waits until no caller's proxy has the fault any more, whatever ended the run but a wish to stop it."""
    if Mark.INJECTED not in live.recorder.marks or Mark.RESTORED not in live.recorder.marks:
        return
    live.proxies = Proxies(live.place.mesh, live.clock, live.plan.injections, every=False)
    until = live.now() + live.plan.experiment.limits.removal.total_seconds() + PATIENCE
    looked = 0.0
    while not live.around.stop and live.now() < until and not _lost(live):
        live.clock.sleep(QUICK)
        if live.now() - looked >= TICK:
            looked = live.now()
            removal = live.look().removal
            if removal is not None and removal.answer is Answer.VIOLATED:
                break
    if live.around.stop:
        live.event(events.RemovalNotAwaited(at=live.now()))


def _lost(live: Live) -> bool:
    """Whether no caller's proxy has the fault any more, or none can be asked: then the counted faults tell."""
    seen = live.asked()
    if seen is None or seen.having:
        return False
    live.event(events.Gone(at=live.now(), asked=seen.of) if seen.of else events.ProxiesSilent(at=live.now()))
    return True


def give_back(live: Live) -> None:
    """One attempt, after the proxies have lost the fault, which is measured; the release goes on until it is done."""
    for made in live.injectors:
        if left := made.give_back(said=partial(_retried, live)):
            live.event(events.Ownership(at=live.now(), left=left))


def release(live: Live) -> None:
    """Stops the load, and gives the leases back once nothing is left."""
    live.enter(PhaseName.RELEASE)
    loaded = Mark.LOAD_STARTED in live.recorder.marks
    if loaded:
        live.observer.settle(live.now(), 0.0 if live.around.stop else _SETTLE)
        live.observer.loading = False
    try:
        live.around.load.stop()
    except LoadError as error:
        live.note(error)
    if loaded:
        live.mark(Mark.LOAD_STOPPED)
    if live.followed is not None:
        live.followed.stop()
    _let_go(live)
    now = live.now()
    live.recorder.leave(now)
    live.recorder.ended = now


def _let_go(live: Live) -> None:
    """Gives the leases back once nothing is left; else somebody else has to clean up, and the leases tell them."""
    give_back(live)
    persist(
        partial(_hand_back, live), clock=live.clock, deadline=_RELEASE, pause=TICK,
        said=lambda why: live.event(events.ReleaseRetried(at=live.now(), why=why)),
    )  # fmt: skip
    live.leases.stop()
    unaccounted = live.leases.taking or any(made.unaccounted for made in live.injectors)
    if live.watchdog is not None and not live.recorder.residue and not unaccounted:
        live.watchdog.release()
    elif live.watchdog is not None:
        live.watchdog.abandon()


def _hand_back(live: Live) -> str:
    """One attempt to see that the faults are gone, and to give the leases back: what is wrong, noted as residue too."""
    try:
        left = _left(live)
    except MeshError as error:
        unknown = error.message
    except Exception as error:  # noqa: BLE001 - else nobody would be told to take over
        unknown = f"{type(error).__name__}: {error}"
    else:
        live.recorder.residue = tuple(left)
        return f"residue: {', '.join(left)}" if left else ""
    touched = bool(live.leases) or live.leases.taking or any(made.attempted for made in live.injectors)
    live.recorder.residue = (f"not known: {unknown}",) if touched else ()
    return unknown


def _left(live: Live) -> list[str]:
    mesh, run, namespaces = live.place.mesh, live.plan.run, live.plan.experiment.namespaces
    found = residue.find(mesh, namespaces, run, faults_only=True)
    if left := found or [what for made in live.injectors for what in made.residue()]:
        restore_all(live.injectors, clock=live.clock, said=partial(_retried, live), deadline=0)
        give_back(live)
        return left
    live.leases.release()
    return residue.find(mesh, namespaces, run)
