"""Tells listeners what happens, so that none of them can change a run, hold it up, or change its verdict."""

from __future__ import annotations

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Condition, Thread, current_thread, main_thread
from typing import Final

from chaos.ports import Listener, Result
from chaos.values.secrets import redacted

_PATIENCE: Final = 1.0
"""Seconds for which all together may hold up a run: its fault stays in the mesh meanwhile."""
_RETURN: Final = 3.0
"""Seconds within which each must have heard what it was told."""


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{text}\n")


class Listeners:
    """The listeners of one run; a listener that fails is dropped.

    One that does not return at once falls behind the run, which goes on without it.

    Args:
        listeners: Whom to tell, in this order.
        say: Called with each that is dropped.
        patience: Seconds for which a run waits until those have heard that are not behind.
        returns: Seconds within which each must have heard; not at the end of the run, when the fault is gone.
    """

    def __init__(
        self,
        listeners: Iterable[Listener] = (),
        *,
        say: Callable[[str], None] = complain,
        patience: float = _PATIENCE,
        returns: float = _RETURN,
    ) -> None:
        self._listeners = [_Hearing(listener) for listener in listeners]
        self._say = say
        self._patience, self._returns = patience, returns

    def tell(self, call: Callable[[Listener], None]) -> list[tuple[str, str]]:
        """Tells each of them while the run goes on; the names of those that are dropped now, and why."""
        until = time.monotonic() + self._patience
        for one in self._listeners:
            one.hear(call, until)
        failed = [(one, why) for one in self._listeners if (why := self._failed(one))]
        return [(self._drop(one, why), why) for one, why in failed]

    def finish(self, result: Result) -> None:
        """Tells the end, on the caller's own thread; all is restored and judged by now.

        Raises:
            KeyboardInterrupt: one of them was interrupted; the others have been told.
        """
        interrupted = False
        for one in tuple(self._listeners):
            try:
                one.catch_up(self._returns)
                if why := self._failed(one) or _failure(lambda listener: listener.finished(result), one.listener):
                    self._drop(one, why)
            except KeyboardInterrupt:
                interrupted = True
                self._drop(one, "it was interrupted")
        if interrupted:
            raise KeyboardInterrupt("a listener was interrupted")

    def _failed(self, one: _Hearing) -> str:
        late = one.behind >= self._returns
        return one.failure or (f"it did not return within {self._returns:g} s" if late else "")

    def _drop(self, one: _Hearing, why: str) -> str:
        self._listeners.remove(one)
        name = f"{type(one.listener).__module__}.{type(one.listener).__qualname__}"
        # Beside the run, too: the terminal may be what hangs. Whoever reads may also be gone.
        said = Thread(target=lambda: self._say_safely(f"the listener {name} is dropped: {why}"), daemon=True)
        said.start()
        said.join(self._patience)
        return name

    def _say_safely(self, text: str) -> None:
        with suppress(Exception):
            self._say(text)


class _Hearing:
    """One listener, and what it was told and has not heard yet."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.failure = ""
        self._calls: deque[tuple[float, Callable[[Listener], None]]] = deque()
        self._heard = Condition()

    def hear(self, call: Callable[[Listener], None], until: float) -> None:
        """Calls it, and waits until a moment of the monotonic clock; not at all while it is behind."""
        with self._heard:
            self._calls.append((time.monotonic(), call))
            if len(self._calls) > 1:
                return
            # A thread, since nothing else ends a call that hangs; a daemon, so that it does not keep the process either.
            Thread(target=self._hear_all, name="listener", daemon=True).start()
        self.catch_up(until - time.monotonic())

    def catch_up(self, seconds: float) -> None:
        """Waits until it has heard all; no longer than some seconds."""
        with self._heard:
            self._heard.wait_for(lambda: not self._calls, max(0.0, seconds))

    @property
    def behind(self) -> float:
        """Seconds since it was told what it has not heard yet."""
        with self._heard:
            return time.monotonic() - self._calls[0][0] if self._calls else 0.0

    def _hear_all(self) -> None:
        more = True
        while more:
            why = _failure(self._calls[0][1], self.listener)
            with self._heard:
                self._calls.popleft()
                if why:
                    self.failure = why
                    self._calls.clear()
                more = bool(self._calls)
                self._heard.notify_all()


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
