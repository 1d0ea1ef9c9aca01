"""The entry is looked at before anything is written: a load that can't arrive is better known at once than after a baseline."""

from __future__ import annotations

from functools import partial
from typing import Final

from chaos import judge
from chaos.engine.live import TICK, Halt, Live
from chaos.judge import SAFE, EntryFinding
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.experiment import Request
from chaos.values.entry import Contact

_PATIENCE: Final = 5.0
"""Seconds for which an entry that is only starting is waited for, and after which no further request is sent."""


def look_at_entry(live: Live) -> None:
    """Connects to the entry, sends each declared request once that is safe to send, and notes what is not as it should be.

    Raises:
        Halt: the load surely can't arrive, or the run was asked to stop.
    """
    until = live.now() + _PATIENCE
    found = live.aside(partial(_find, live, until))
    while found.passing and live.now() < until and not live.around.stop:
        live.clock.sleep(TICK)
        found = live.aside(partial(_find, live, until))
    live.stop_if_asked()
    if found.hopeless is not None:
        live.trouble(TroubleKind.ENTRY_UNUSABLE, found.hopeless.text, hint=found.hopeless.hint)
        raise Halt
    for note in found.notes:
        live.event(events.EntryNoted(at=live.now(), text=note))


def _find(live: Live, until: float) -> EntryFinding:
    experiment, entry, probe = live.plan.experiment, live.place.entry.get_secret_value(), live.around.probe
    host, answers = experiment.load.host, list[tuple[Request, Contact]]()
    connection = probe.connect(entry, host=host)
    for request in experiment.load.requests if connection.hindrance is None else ():
        if request.method in SAFE and not live.around.stop and (not answers or live.now() < until):
            answers.append((request, probe.ask(entry, request, host=host)))
    return judge.judge_entry(experiment, entry, connection, answers)
