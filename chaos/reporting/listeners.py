"""Who hears of a run: the harness's own reports, and those that other packages add.

A package adds one by an entry point of the group ``chaos.listeners`` that names a ``Listener`` class, or a function without
arguments that makes a listener. Each run gets new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from chaos.engine.listeners import complain, describe
from chaos.ports import Listener
from chaos.reporting.summary import JobSummary
from chaos.reporting.timeline import Timeline

GROUP: Final = "chaos.listeners"
_OWN: Final = (Timeline, JobSummary)


def listeners(say: Callable[[str], None] = complain) -> Iterator[Listener]:
    """New listeners for one run, apart from what the caller shows by itself.

    Args:
        say: Called with each that another package offers and that can't be used; a run does without it.
    """
    yield from (own() for own in _OWN)
    for entry in _offered():
        package = entry.dist.name if entry.dist else "an unnamed package"
        yield from made(_making(entry), f"the entry point {entry.name} = {entry.value} of {package}", say)


def made(make: Callable[[], Any], whose: str, say: Callable[[str], None]) -> list[Listener]:
    """The listeners that somebody else's code makes; none, and a word about it, where it fails."""
    try:
        found = list(make() or ())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit and pytest's skip would end or turn the test
        why = describe(error)
    else:
        wrong = [one for one in found if not isinstance(one, Listener)]
        if not wrong:
            return found
        why = f"expected a chaos.Listener, got a {type(wrong[0]).__qualname__}"
    say(f"{whose} gives no listener: {why}")
    return []


def _making(entry: EntryPoint) -> Callable[[], Any]:
    return lambda: [entry.load()()]


@cache
def _offered() -> tuple[EntryPoint, ...]:
    """What installed packages offer, in the order of their names."""
    return tuple(sorted(entry_points(group=GROUP), key=lambda entry: entry.name))
