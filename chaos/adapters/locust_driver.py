"""The load generator's process: Locust, in a process of its own because importing it patches the standard library.

It is told what to do on stdin as lines (the work as JSON, then ``start``, then ``stop``) and answers on stdout: ``ready``,
then one line of JSON per second. It ends when told so, at the end of stdin, and with the process that started it.
"""

from __future__ import annotations

# Before all others, since it patches them.
import locust  # isort: split

import ctypes
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.cookiejar import DefaultCookiePolicy
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import gevent.event
import gevent.os
import requests
from locust import FastHttpUser, HttpUser, User, task
from locust.argument_parser import get_parser
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, FastHttpSession
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile
from pydantic import TypeAdapter

from chaos.adapters.locust_seconds import Seconds, by_weight, in_words
from chaos.adapters.locustfile import wrong_path
from chaos.values.content import Body, Content, Header, Json, Marker
from chaos.values.secrets import redacted

_CONNECTIONS: Final = 100_000
"""More than an open model at any rate that is allowed needs: the pool must never be what limits."""
_FILES: Final = 1_000_000
_GRACE: Final = 0.05
"""Seconds after the end of a second until it is told, so that waking up early can't lose its last answers."""
_GOODBYE: Final = 1.2
"""Seconds that the users of a locustfile have for their ``on_stop``."""
_PR_SET_PDEATHSIG: Final = 1
_ERROR: Final = 400
"""The status from which Locust takes an answer for a failure, unless it is told otherwise."""
_LAG: Final = "chaos-lag"
"""In the context of a request: the seconds by which it was started late."""
_BEAT: Final = 0.02
"""Seconds between two signs of life."""


class Harness:
    """The pipes from and to the harness, kept away from what a locustfile prints or reads."""

    def __init__(self) -> None:
        self._from, self._to = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def tell(self, line: str) -> None:
        """Says one line; where nobody listens any more, the process ends."""
        rest = memoryview(f"{line}\n".encode())
        try:
            while rest:
                rest = rest[gevent.os.tp_write(self._to, rest) :]
        except BrokenPipeError:
            os._exit(0)

    def lines(self) -> Iterator[str]:
        """What the harness says, until it is gone."""
        rest = b""
        while more := gevent.os.tp_read(self._from, 65536):
            *whole, rest = (rest + more).split(b"\n")
            yield from (line.decode() for line in whole)


# --- the open model ------------------------------------------------------------------------------------------------


def arrivals(work: Mapping[str, Any], seconds: Seconds) -> type[User]:
    """A user that lets requests arrive at a fixed rate whatever the answers do."""
    rate = float(work["spec"]["rate"])
    kinds = [{**kind, "headers": _merged(kind["headers"], work["headers"])} for kind in work["spec"]["requests"]]
    limit, host = float(work["timeout"]), work["spec"]["host"]

    class Arrivals(FastHttpUser):  # type: ignore[misc]
        """One user for all arrivals; each runs in a greenlet of its own."""

        concurrency = _CONNECTIONS
        network_timeout = connection_timeout = limit
        max_redirects = 0  # the redirect is the answer; what it points to need not be in the mesh
        max_retries = 0
        default_headers = _host(work)

        def on_start(self) -> None:
            agent = self.client.client
            # Arrivals have nothing to do with each other: a shared cookie would pin them all to one pod.
            agent.cookiejar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            # Every answer is an answer; what is not "valid" is decoded for a message, which fails for other than UTF-8.
            agent.valid_response_codes = frozenset(range(100, 1000))
            if host:
                agent.clientpool.client_args["ssl_options"] = {"server_hostname": host}
            # geventhttpclient sends a request again for each place in its pool when a connection is closed without
            # an answer (HTTPClient.request: attempts_left = size + 1). The pool's semaphore is made by now, and its
            # size is read for nothing else.
            agent.clientpool.get_client(self.host)._connection_pool.size = -1

        @task  # type: ignore[untyped-decorator]
        def arrive(self) -> None:
            """Starts requests for ever, each at its moment."""
            began = seconds.began = time.perf_counter()
            turns = by_weight([kind["weight"] for kind in kinds])
            for number in count():
                intended = began + number / rate
                ahead = intended - time.perf_counter()
                if ahead > 0:
                    gevent.sleep(ahead)
                elif number % 16 == 0:
                    gevent.sleep(0)  # behind: let answers in all the same
                gevent.spawn(self.send, kinds[next(turns)], intended)

        def send(self, kind: Mapping[str, Any], intended: float) -> None:
            """Latency counts from the intended start, so that a stalled system can't hide its stall."""
            lag = max(0.0, time.perf_counter() - intended)
            seconds.sent(lag)
            try:
                # The client's own timeouts are per read: an answer that trickles in would never end.
                with (
                    gevent.Timeout(limit),
                    self.client.request(
                        kind["method"],
                        kind["path"],
                        name=kind["label"],
                        data=kind["body"],
                        headers=kind["headers"],
                        catch_response=True,
                        context={_LAG: lag},
                    ) as answer,
                ):
                    answer.request_meta["response_time"] = (time.perf_counter() - intended) * 1000
            except (Exception, gevent.Timeout) as error:  # noqa: BLE001 - whatever it is, an arrival that got no answer is counted
                took = (time.perf_counter() - intended) * 1000
                seconds.answered(kind["label"], 0, in_words(error), took, lag=lag)

    return Arrivals


def _host(work: Mapping[str, Any]) -> dict[str, str]:
    """The header that names the host, if one is declared."""
    host = work["spec"]["host"]
    return {"Host": host} if host else {}


def _merged(own: Mapping[str, str], runs: Mapping[str, str]) -> dict[str, str]:
    """A request's headers and the run's, which win whatever their case: by them a fault knows its requests."""
    taken = {key.lower() for key in runs}
    return {**{key: value for key, value in own.items() if key.lower() not in taken}, **runs}


# --- the user's locustfile -----------------------------------------------------------------------------------------


def users_of(file: Path, seconds: Seconds, gone: Callable[[BaseException | None], None]) -> list[type[User]]:
    """The classes of the user's locustfile, changed so that their waiting requests are known, and that none ends unnoticed.

    A ``LoadTestShape`` in it is left alone: baseline and fault need the same number of users.

    Args:
        file: The locustfile.
        seconds: Where waiting requests are noted.
        gone: Called with what a user died of, such as an error in its ``on_start``, and with ``None`` for one that stops by itself:
            Locust goes on with fewer then.
    """
    if wrong := wrong_path(file):
        raise ValueError(wrong)
    sys.path.insert(0, str(file.parent))  # stays: Locust takes it out again, but a task may import when it runs
    classes, _ = load_locustfile(str(file))
    if not classes:
        raise ValueError("no User class is in it")
    return [_watched(cls, seconds, gone) for cls in classes.values()]


def _watched(cls: type[User], seconds: Seconds, gone: Callable[[BaseException | None], None]) -> type[User]:
    def __init__(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: N807 - it becomes the class's own
        with _noting_death(gone):
            cls.__init__(self, *arguments, **options)
        if isinstance(self, HttpUser | FastHttpUser):
            self.client.request = seconds.watched(self.client.request)

    def run(self: Any) -> None:
        with _noting_death(gone):
            cls.run(self)
            gone(None)

    return type(cls.__name__, (cls,), {"__init__": __init__, "run": run})


@contextmanager
def _noting_death(gone: Callable[[BaseException | None], None]) -> Iterator[None]:
    try:
        yield
    except (Exception, gevent.Timeout, SystemExit) as error:
        gone(error)
        if not isinstance(error, SystemExit):  # that one would end the process before it has told why
            raise


def send_with(headers: Mapping[str, str], *, entry: str, host: Mapping[str, str]) -> None:
    """From now on every request has these headers, whatever a locustfile does to its clients, and in further sessions too.

    Those of Requests and of Locust's fast client are meant; other libraries send what they are told. ``host`` is for requests
    to the entry only.
    """
    send, request = requests.Session.send, FastHttpSession.request

    def own(url: str) -> dict[str, str]:
        return {**(host if url.startswith("/") or _origin(url) == _origin(entry) else {}), **headers}

    def send_marked(self: Any, prepared: Any, **options: Any) -> Any:
        prepared.headers.update(own(str(prepared.url)))
        return send(self, prepared, **options)

    def request_marked(self: Any, method: str, url: str, *arguments: Any, headers: Any = None, **options: Any) -> Any:
        return request(self, method, url, *arguments, headers=_merged(dict(headers or {}), own(url)), **options)

    requests.Session.send = send_marked  # type: ignore[assignment, method-assign]
    FastHttpSession.request = request_marked


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def options_of(file: Path, work: Mapping[str, Any]) -> Any:
    """Locust's options as its command line would have them, with those that the locustfile declares itself."""
    given = ["--headless", "-f", str(file), "--host", work["entry"], "-u", str(work["spec"]["users"])]
    parser = get_parser(default_config_files=[])

    def fail(message: str) -> None:
        raise ValueError(f"{message} (a default, or an env_var that is set, gives an option its value)")

    parser.error = fail
    return parser.parse_args(given)


def _reason(file: Path, error: BaseException) -> str:
    """In one line, with the line of the locustfile in which it happened."""
    at = [
        f", line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return f"{file}{at[-1] if at else ''}: {type(error).__name__}: {' '.join(str(error).split())}"


# --- the run -------------------------------------------------------------------------------------------------------


def listen(
    environment: Environment, seconds: Seconds, markers: Sequence[Header | Body | Json], *, counts_sending: bool
) -> None:
    """Counts every HTTP request that Locust reports; events without an HTTP answer are flows and the like."""

    def note(
        request_type: str,
        name: str,
        response_time: float,
        response: Any = None,
        exception: Any = None,
        context: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        status = getattr(response, "status_code", None)
        if status is None:
            return
        # A failed read leaves the status that came before it. An error with a response is about its status only, and
        # one of any other kind is a task's opinion of the content: both are answers.
        broken = isinstance(exception, FAILURE_EXCEPTIONS) and getattr(exception, "response", None) is None
        error = "" if status and not broken else in_words(exception) if exception else "no answer"
        if counts_sending:
            seconds.sent(0.0)
            if name.startswith(("/", "http://", "https://")):
                name = redacted(f"{request_type} {name}")  # as declared requests are called that have no name
        matched = () if error else matching(markers, response)
        lag = (context or {}).get(_LAG, 0.0)
        judged = None if error or not counts_sending else _judged(int(status), exception)
        took = response_time or 0.0
        seconds.answered(name, 0 if error else int(status), error, took, matched=matched, judged=judged, lag=lag)

    environment.events.request.add_listener(note)


def _judged(status: int, exception: Any) -> bool | None:
    """What a locustfile said of an answer by ``failure()`` or ``success()``; ``None`` where it left that to the status."""
    if exception is None:
        return True if status >= _ERROR else None
    return None if getattr(exception, "response", None) is not None else False


def matching(markers: Sequence[Header | Body | Json], response: Any) -> tuple[str, ...]:
    """The markers that an answer has. Where a locustfile streams an answer, it is read here."""
    if not markers:
        return ()
    try:
        body = response.content or b""
    except FAILURE_EXCEPTIONS:
        body = b""
    content = Content(response.headers or {}, body)
    return tuple(str(marker) for marker in markers if marker.matches(content))


def main() -> int:
    """Exit code 0: it was asked to stop; 2: the locustfile can't be loaded; 3: it ended its test. The reason is on stderr."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _allow_many_connections()
    harness = Harness()
    said = harness.lines()
    heard = next(said, None)
    if heard is None:
        return 0
    work = json.loads(heard)
    own = work["locustfile"] is not None
    seconds = Seconds(None if own else float(work["spec"]["rate"]))
    over = gevent.event.AsyncResult()
    if own:
        file = Path(work["locustfile"])

        def gone(error: BaseException | None) -> None:
            if not over.ready():  # else all users end
                how, why = ("has stopped by itself", "") if error is None else ("died", f": {_reason(file, error)}")
                over.set(f"a user {how}, so there are fewer than declared{why}")

        send_with(work["headers"], entry=work["entry"], host=_host(work))
        try:
            environment = Environment(
                user_classes=users_of(file, seconds, gone),
                host=work["entry"],
                events=locust.events,  # those for which the locustfile has registered its own listeners
                locustfile=file.name,
                parsed_options=options_of(file, work),
            )
            runner = environment.create_local_runner()
            environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's file may raise anything
            sys.stderr.write(f"{_reason(file, error)}\n")
            return 2

        def ended(**_: Any) -> None:
            if not over.ready():
                over.set(f"{file} ended the test by itself")

        environment.events.test_stopping.add_listener(ended)
    else:
        environment = Environment(user_classes=[arrivals(work, seconds)], host=work["entry"])
        runner = environment.create_local_runner()
    markers = TypeAdapter(tuple[Marker, ...]).validate_python(work["markers"])
    listen(environment, seconds, markers, counts_sending=own)
    harness.tell("ready")
    if next(said, "stop") != "start":
        return 0
    users = work["spec"]["users"] if own else 1
    teller, heart = gevent.spawn(_tell_seconds, harness, seconds), gevent.spawn(_beat, seconds)
    runner.start(users, spawn_rate=users)
    gevent.spawn(_wait_for_word, said, over)
    by_itself = over.get()
    gevent.killall([teller, heart])
    if by_itself:
        sys.stderr.write(f"{by_itself}\n")
        return 3
    with gevent.Timeout(_GOODBYE, exception=False):
        runner.quit()
    return 0


def _allow_many_connections() -> None:
    """Raises the limit of open files, which is 1024 on many machines: fewer than a stalled system leaves waiting."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # as many as there are, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES if most == resource.RLIM_INFINITY else most, most))


def _wait_for_word(said: Iterator[str], over: Any) -> None:
    next(said, None)  # the word to stop, or the harness's end
    over.set("")


def _beat(seconds: Seconds) -> None:
    while True:
        seconds.alive()
        gevent.sleep(_BEAT)


def _tell_seconds(harness: Harness, seconds: Seconds) -> None:
    at = int(seconds.now())
    while True:
        gevent.sleep(max(0.0, at + 1 + _GRACE - seconds.now()))
        harness.tell(seconds.line(at))
        at += 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Locust's greenlets have nothing to finish: requests under way are not counted
