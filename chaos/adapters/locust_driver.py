"""The load generator's process: Locust, in a process of its own because importing it patches the standard library.

It is told what to do on stdin as lines of JSON and answers on stdout: ``ready``, then one line per second.
"""

from __future__ import annotations

import locust  # isort: split

import ctypes
import itertools
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import gevent
import gevent.os
from locust import FastHttpUser, HttpUser, User, task
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

_CONNECTIONS: Final = 10_000
"""More than an open model at any rate that is allowed needs: the pool must never be what limits."""
_GRACE: Final = 0.05
"""Seconds after the end of a second until it is told, for answers that are just being counted."""
_DIGITS: Final = 3
_PR_SET_PDEATHSIG: Final = 1


def rounded_up(milliseconds: float) -> float:
    """To three significant digits, upwards: never better than it was."""
    if milliseconds <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(milliseconds)) - _DIGITS + 1)
    return round(math.ceil(milliseconds / step - 1e-9) * step, 6)


def by_weight(requests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The requests in turn, each as often as its weight says, spread evenly."""
    credit = [0] * len(requests)
    total = sum(request["weight"] for request in requests)
    while True:
        for index, request in enumerate(requests):
            credit[index] += request["weight"]
        best = max(range(len(requests)), key=credit.__getitem__)
        credit[best] -= total
        yield requests[best]


class Seconds:
    """Counts by second of the wall clock, which is read once and carried on by the monotonic one."""

    def __init__(self) -> None:
        self._wall = time.time() - time.perf_counter()
        self._found: dict[int, dict[str, Any]] = {}
        self.rate: float | None = None
        self.started: float | None = None
        """When the first request was intended, on ``time.perf_counter``."""

    def wall(self, moment: float) -> float:
        """A moment of ``time.perf_counter`` as Unix seconds."""
        return self._wall + moment

    def now(self) -> float:
        """Unix seconds."""
        return self.wall(time.perf_counter())

    def _second(self) -> dict[str, Any]:
        return self._found.setdefault(int(self.now()), {"sent": 0, "lag": 0.0, "cells": {}})

    def sent(self, lag: float) -> None:
        """A request was started, ``lag`` seconds after its intended moment."""
        second = self._second()
        second["sent"] += 1
        second["lag"] = max(second["lag"], lag)

    def answered(self, request: str, status: int, error: str, milliseconds: float) -> None:
        """A request has ended."""
        cell = self._second()["cells"].setdefault((request, status, error), {})
        took = rounded_up(milliseconds)
        cell[took] = cell.get(took, 0) + 1

    def line(self, at: int) -> str:
        """What happened in one second, as JSON."""
        second = self._found.pop(at, {"sent": 0, "lag": 0.0, "cells": {}})
        return json.dumps(
            {
                "at": at,
                "intended": self._intended(at) if self.rate is not None else second["sent"],
                "sent": second["sent"],
                "worst_lag": round(second["lag"], 4),
                "cells": [
                    {"request": request, "status": status, "error": error, "latencies": latencies}
                    for (request, status, error), latencies in second["cells"].items()
                ],
            }
        )

    def _intended(self, at: int) -> int:
        """Arrivals that the rate asks for in a second, whether or not anybody had time for them."""
        if self.started is None or self.rate is None:
            return 0
        begin = self.wall(self.started)
        return max(0, math.ceil((at + 1 - begin) * self.rate)) - max(0, math.ceil((at - begin) * self.rate))


def arrivals(work: Mapping[str, Any], seconds: Seconds) -> type[User]:
    """A user that lets requests arrive at a fixed rate whatever the answers do."""
    requests = by_weight(work["spec"]["requests"])
    rate = float(work["spec"]["rate"])

    class Arrivals(FastHttpUser):  # type: ignore[misc]
        """One user for all arrivals; each runs in a greenlet of its own."""

        concurrency = _CONNECTIONS
        network_timeout = connection_timeout = work["timeout"]
        default_headers: ClassVar = dict(work["headers"])

        @task  # type: ignore[untyped-decorator]
        def arrive(self) -> None:
            seconds.rate, seconds.started = rate, time.perf_counter()
            for number in itertools.count():
                intended = seconds.started + number / rate
                ahead = intended - time.perf_counter()
                if ahead > 0:
                    gevent.sleep(ahead)
                elif number % 16 == 0:
                    gevent.sleep(0)  # behind: let answers in all the same
                gevent.spawn(self.send, next(requests), intended)

        def send(self, request: Mapping[str, Any], intended: float) -> None:
            """Latency counts from the intended start, so that a stalled system can't hide its stall."""
            seconds.sent(max(0.0, time.perf_counter() - intended))
            with self.client.request(
                request["method"],
                request["path"],
                name=request["label"],
                data=request["body"],
                headers=request["headers"],
                catch_response=True,
            ) as response:
                response.request_meta["response_time"] = (time.perf_counter() - intended) * 1000

    return Arrivals


def users_of(work: Mapping[str, Any]) -> list[type[User]]:
    """The classes of the user's locustfile, whose clients send the run's headers too."""
    file = Path(work["base"], work["spec"]["locustfile"])
    sys.path.insert(0, str(file.parent))
    classes, _ = load_locustfile(str(file))
    if not classes:
        raise ValueError(f"{file} has no User class")
    return [_marked(cls, dict(work["headers"])) for cls in classes.values()]


def _marked(cls: type[User], headers: dict[str, str]) -> type[User]:
    if issubclass(cls, FastHttpUser):
        return type(cls.__name__, (cls,), {"default_headers": {**(cls.default_headers or {}), **headers}})
    if not issubclass(cls, HttpUser):
        return cls

    def __init__(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: N807 - it becomes the class's own
        cls.__init__(self, *arguments, **options)
        self.client.headers.update(headers)

    return type(cls.__name__, (cls,), {"__init__": __init__})


def listen(environment: Environment, seconds: Seconds, *, counts_sending: bool) -> None:
    """Counts every request that Locust reports."""

    def note(
        request_type: str, name: str, response_time: float, response: Any = None, exception: Any = None, **_: Any
    ) -> None:
        status = int(getattr(response, "status_code", 0) or 0)
        error = "" if status else type(exception).__name__ if exception else "no answer"
        if counts_sending:
            seconds.sent(0.0)
            name = f"{request_type} {name}"
        seconds.answered(name, status, error, response_time or 0.0)

    environment.events.request.add_listener(note)


def tell(line: str) -> None:
    """One line to the harness; its end is ours."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)


def lines() -> Iterator[str]:
    """What the harness says, until it is gone."""
    rest = b""
    while True:
        more = gevent.os.tp_read(0, 65536)
        if not more:
            return
        *whole, rest = (rest + more).split(b"\n")
        yield from (line.decode() for line in whole)


def main() -> int:
    """Exit code 0: told to stop; 2: what was asked for can't be done, said on stderr."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    said = lines()
    work = json.loads(next(said))
    seconds = Seconds()
    own = bool(work["spec"]["locustfile"])
    try:
        classes = users_of(work) if own else [arrivals(work, seconds)]
    except Exception as error:  # noqa: BLE001 - the user's file may raise anything
        sys.stderr.write(f"{work['spec']['locustfile']}: {type(error).__name__}: {error}\n")
        return 2
    environment = Environment(user_classes=classes, host=work["entry"])
    listen(environment, seconds, counts_sending=own)
    runner = environment.create_local_runner()
    tell("ready")
    if next(said, "stop") != "start":
        return 0
    users = work["spec"]["users"] if own else 1
    runner.start(users, spawn_rate=users)
    teller = gevent.spawn(_tell_seconds, seconds)
    waiting: Callable[[], str] = lambda: next(said, "stop")  # noqa: E731 - a greenlet's whole work
    gevent.spawn(waiting).join()
    teller.kill()
    return 0


def _tell_seconds(seconds: Seconds) -> None:
    at = int(seconds.now())
    while True:
        gevent.sleep(max(0.0, at + 1 + _GRACE - seconds.now()))
        tell(seconds.line(at))
        at += 1


if __name__ == "__main__":
    del locust
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Locust's greenlets have nothing to finish: requests under way are not counted
