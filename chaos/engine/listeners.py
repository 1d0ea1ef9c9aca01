"""Tells listeners what happens, so that none of them can change a run, hold it up, or change its verdict."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread, current_thread, main_thread
from typing import Final

from chaos.ports import Listener, Result
from chaos.values.secrets import redacted

_PATIENCE: Final = 3.0
"""Seconds for which one may hold up a run: its fault stays in the mesh meanwhile."""


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{text}\n")


class Listeners:
    """Those who hear of one run; one that fails is dropped.

    Args:
        listeners: Whom to tell, in this order.
        say: Called with each that is dropped.
        patience: Seconds within which each must have heard; not at the end of the run, when the fault is gone.
    """

    def __init__(
        self, listeners: Iterable[Listener] = (), *, say: Callable[[str], None] = complain, patience: float = _PATIENCE
    ) -> None:
        self._listeners = list(listeners)
        self._say = say
        self._patience = patience

    def tell(self, call: Callable[[Listener], None]) -> list[tuple[str, str]]:
        """Tells each of them while the run goes on; the names of those that are dropped now, and why."""
        failed = [(listener, self._within_patience(call, listener)) for listener in self._listeners]
        return [(self._drop(listener, why), why) for listener, why in failed if why]

    def finish(self, result: Result) -> None:
        """Tells the end, on the caller's own thread; all is restored and judged by now.

        Raises:
            KeyboardInterrupt: one of them was interrupted; the others have been told.
        """
        interrupted = False
        for listener in tuple(self._listeners):
            try:
                if why := _failure(lambda listener: listener.finished(result), listener):
                    self._drop(listener, why)
            except KeyboardInterrupt:
                interrupted = True
                self._drop(listener, "it was interrupted")
        if interrupted:
            raise KeyboardInterrupt("a listener was interrupted")

    def _within_patience(self, call: Callable[[Listener], None], listener: Listener) -> str:
        failures: list[str] = []
        # A thread, since nothing else ends a call that hangs; a daemon, so that it does not keep the process either.
        thread = Thread(target=lambda: failures.append(_failure(call, listener)), name="listener", daemon=True)
        thread.start()
        thread.join(self._patience)
        return failures[0] if failures else f"it did not return within {self._patience:g} s"

    def _drop(self, listener: Listener, why: str) -> str:
        self._listeners.remove(listener)
        name = f"{type(listener).__module__}.{type(listener).__qualname__}"
        with suppress(Exception):  # whoever reads may be gone, too
            self._say(f"the listener {name} is dropped: {why}")
        return name


def _failure(call: Callable[[Listener], None], listener: Listener) -> str:
    try:
        call(listener)
    except KeyboardInterrupt:
        if current_thread() is main_thread():
            raise  # the user's, not the listener's
        return "KeyboardInterrupt"
    except BaseException as error:  # noqa: BLE001 - SystemExit and pytest's skip are no Exceptions
        return describe(error)
    return ""


def describe(error: BaseException) -> str:
    """What went wrong in somebody else's code, and where."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({one.filename}:{one.lineno})" for one in place)
    try:
        told = str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's, too
        told = "it can't say what went wrong"
    return f"{type(error).__name__}: {redacted(told)}{where}"
