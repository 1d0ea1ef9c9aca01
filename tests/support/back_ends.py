"""A server in front of a Prometheus that answers as other back ends do: whom it lets in, what it lacks, how late and how slow it is.

What it can't imitate: copies of a series inside an aggregation (``sum(up)`` counts each series once here), since the query is
evaluated by the Prometheus behind it.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.support.certificates import certificate, pem

Answer = tuple[int, bytes]
Upstream = Callable[[str, Mapping[str, str]], Answer]
"""Answers a path (``/api/v1/query``) with parameters."""


@dataclass(frozen=True)
class Copy:
    """One of several copies of each series.

    Args:
        labels: Labels that only this copy has; ``{instance}`` stands for a label of the series.
        shift: Seconds by which its samples are later, as those of another Prometheus are.
    """

    labels: Mapping[str, str]
    shift: float = 0.0


REPLICAS = (Copy({"prometheus_replica": "a"}), Copy({"prometheus_replica": "b"}, shift=0.4))
"""A pair of Prometheus servers, whose replica label nobody takes out."""
TWO_JOBS = (
    Copy({"job": "kubernetes-pods", "instance": "{instance}-15020"}),
    Copy({"job": "envoy-stats", "instance": "{instance}-15090"}, shift=0.3),
)
"""Proxies that are scraped by annotation and by a PodMonitor."""
FEDERATED = (
    Copy({}),
    Copy(
        {"job": "federate", "exported_job": "{job}", "exported_instance": "{instance}", "instance": "prometheus:9090"}
    ),
)
"""A server that also reads from another one which scrapes the same proxies."""


@dataclass
class BackEnd:
    """In what a back end is different from a plain Prometheus. Fields may be set while it serves.

    Args:
        prefix: What its paths begin with, before ``/api/v1``.
        bearer: Tokens that it accepts; none: no token is needed.
        basic: User and password that it wants.
        headers: Headers that it wants with these values, such as a tenant's.
        login: Whether it sends who is not let in to a login page, as a proxy in front of a dashboard does.
        missing: Paths that it does not know, such as ``/api/v1/targets``.
        forbidden: Paths that it refuses.
        lag: Seconds until a sample can be read.
        slow: Seconds that each answer takes.
        copies: What each series is stored as, where more than once.
        without_labels: Labels that nobody finds: they are on no series, and matchers and groupings don't meet them.
        without_metrics: Names of metrics that it doesn't have.
        without_buckets: Values of ``le`` that it doesn't have, such as ``1000`` and ``1000.0``.
        warnings: What its answers warn of.
        infos: What its answers remark.
        partial: Whether every second series is left out, as if a part of the stores did not answer.
        partial_field: Whether it says so by ``isPartial`` as VictoriaMetrics does.
        vectors_only: Whether a scalar is answered as a vector, evaluated in the past, as VictoriaMetrics does.
        repeats: Whether a refusal repeats the headers of the request.
        status: A status that it answers everything with, and no data.
        says: What it says with that status.
        answer: What it answers everything with, as if it were JSON.
    """

    prefix: str = ""
    bearer: set[str] = field(default_factory=set)
    basic: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    login: bool = False
    missing: Sequence[str] = ()
    forbidden: Sequence[str] = ()
    lag: float = 0.0
    slow: float = 0.0
    copies: Sequence[Copy] = ()
    without_labels: Sequence[str] = ()
    without_metrics: Sequence[str] = ()
    without_buckets: Sequence[str] = ()
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()
    partial: bool = False
    partial_field: bool = False
    vectors_only: bool = False
    repeats: bool = False
    status: int | None = None
    says: str = "it does not work"
    answer: bytes | None = None

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        given = headers.get("Authorization", "")
        if self.bearer and given not in {f"Bearer {token}" for token in self.bearer}:
            return False
        if self.basic is not None:
            expected = base64.b64encode(":".join(self.basic).encode()).decode()
            if given != f"Basic {expected}":
                return False
        return all(headers.get(name) == value for name, value in self.headers.items())


def back_ends() -> dict[str, BackEnd]:
    """What people have, by their documentation: which of its parts each lacks, and what it wants of who asks."""
    no_targets = ["/api/v1/targets"]
    no_rules = [*no_targets, "/api/v1/rules"]
    return {
        "Prometheus": BackEnd(),
        "behind basic authentication": BackEnd(prefix="/prometheus", basic=("reader", "canary-password")),
        "Thanos": BackEnd(headers={"THANOS-TENANT": "staging"}),
        "Mimir": BackEnd(prefix="/prometheus", headers={"X-Scope-OrgID": "staging"}, missing=no_targets),
        "Grafana Cloud": BackEnd(prefix="/api/prom", basic=("123456", "canary-password"), missing=no_targets),
        "VictoriaMetrics": BackEnd(prefix="/select/0/prometheus", missing=no_rules, vectors_only=True),
        "Amazon": BackEnd(prefix="/workspaces/ws-1", headers={"Authorization": "AWS4 canary"}, missing=no_targets),
        "Google": BackEnd(
            prefix="/v1/projects/shop/location/global/prometheus", bearer={"canary-token"}, missing=no_rules
        ),
        "Azure": BackEnd(bearer={"canary-token"}, forbidden=no_rules),
        "OpenShift": BackEnd(bearer={"canary-token"}, forbidden=no_targets),
    }


def sign() -> Callable[[Any], Any]:
    """A hook for requests, as a package for SigV4 has one."""

    def signed(request: Any) -> Any:
        request.headers["Authorization"] = "AWS4 canary"
        return request

    return signed


def given_access(folder: Path, patch: pytest.MonkeyPatch) -> Mapping[str, dict[str, Any]]:
    """The credentials for each of ``back_ends``, with secrets in variables and in files of a folder."""
    for name, value in {"TOKEN": "canary-token", "TENANT": "staging", "SECRET": "canary-password"}.items():
        patch.setenv(name, value)
        (folder / f"{name}_FILE").write_text(f"{value}\n")
    return {
        "Prometheus": {},
        "behind basic authentication": {"user": "reader", "password": "env:SECRET"},
        "Thanos": {"headers": {"THANOS-TENANT": "staging"}},
        "Mimir": {"headers": {"X-Scope-OrgID": "env:TENANT"}},
        "Grafana Cloud": {"user": "123456", "password": f"file:{folder}/SECRET_FILE"},
        "VictoriaMetrics": {},
        "Amazon": {"auth": f"{__name__}:sign"},
        "Google": {"bearer": "env:TOKEN"},
        "Azure": {"bearer": f"file:{folder}/TOKEN_FILE"},
        "OpenShift": {"bearer": "env:TOKEN"},
    }


@dataclass
class Imitation:
    """A back end that serves.

    Args:
        url: Its address, with its prefix.
        back_end: How it answers.
        asked: The path, with its query, and the headers of each request so far.
    """

    url: str
    back_end: BackEnd
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)


def prometheus(url: str) -> Upstream:
    """A real one, over plain HTTP."""
    host = urlsplit(url).netloc

    def ask(path: str, parameters: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("GET", f"{path}?{urlencode(parameters)}")
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    return ask


def stored(*series: tuple[Mapping[str, str], Sequence[tuple[float, float]]]) -> Upstream:
    """One that answers every range with these labels and samples, every other query with its time, and has no targets or rules."""
    matrix = [{"metric": labels, "values": [[at, str(value)] for at, value in samples]} for labels, samples in series]

    def ask(path: str, parameters: Mapping[str, str]) -> Answer:
        data: dict[str, Any] = {"activeTargets": [], "groups": []}
        if path == "/api/v1/query":
            at = float(parameters["time"])
            data = {"resultType": "scalar", "result": [at, str(at)]}
            if parameters["query"].endswith("]"):
                data = {"resultType": "matrix", "result": matrix}
        return 200, json.dumps({"status": "success", "data": data}).encode()

    return ask


def certificates(folder: Path) -> ssl.SSLContext:
    """The context of a server that wants a client's certificate, beside ``ca.pem``, ``client.pem`` and ``client.key``."""
    authority = certificate("authority")
    for name, names in (("server", ("localhost",)), ("client", ("reader",))):
        for suffix, text in zip(("pem", "key"), pem(*certificate(*names, authority=authority)), strict=True):
            (folder / f"{name}.{suffix}").write_text(text)
    (folder / "ca.pem").write_text(pem(*authority)[0])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@contextmanager
def serving(
    upstream: Upstream, back_end: BackEnd | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[Imitation]:
    """A back end on a port of this machine; with ``tls``, its certificate has to be for ``localhost``."""
    back_end = back_end or BackEnd()
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    address = ("http://127.0.0.1:{}" if tls is None else "https://localhost:{}").format(server.server_address[1])
    server.upstream, server.ended = upstream, threading.Event()
    server.imitation = Imitation(address + back_end.prefix, back_end)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server.imitation
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    imitation: Imitation
    upstream: Upstream
    ended: threading.Event

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not like the certificate, is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        split = urlsplit(self.path)
        parameters = dict(parse_qsl(split.query) + parse_qsl(body))
        self.server.imitation.asked.append((self.path, dict(self.headers)))
        back_end = self.server.imitation.back_end
        self.server.ended.wait(back_end.slow)
        if split.path == "/login":
            self._answer(200, b"<html><body>Please sign in</body></html>", "text/html")
        elif not back_end.lets_in(self.headers):  # type: ignore[arg-type]  # headers of a request are found in any case
            if back_end.login:
                self._answer(302, b"", Location="/login")
            else:
                said = "no org id" if back_end.headers else "unauthorized"
                self._answer(401, f"{said} {self.headers if back_end.repeats else ''}".encode(), "text/plain")
        elif back_end.status is not None:
            self._answer(back_end.status, back_end.says.encode(), "text/plain")
        elif back_end.answer is not None:
            self._answer(200, back_end.answer)
        elif not split.path.startswith(f"{back_end.prefix}/api/v1/"):
            self._answer(404, b"404 page not found", "text/plain")
        else:
            self._data(back_end, split.path.removeprefix(back_end.prefix), parameters)

    do_GET = do_POST = _serve  # noqa: N815

    def _data(self, back_end: BackEnd, path: str, parameters: dict[str, str]) -> None:
        if path in back_end.missing:
            self._answer(404, b"404 page not found", "text/plain")
        elif path in back_end.forbidden:
            self._answer(403, b"permission denied", "text/plain")
        elif path == "/api/v1/query":
            self._answer(*_queried(back_end, self.server.upstream, parameters))
        else:
            self._answer(*self.server.upstream(path, parameters))

    def _answer(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        with suppress(OSError):
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)


def _queried(back_end: BackEnd, upstream: Upstream, parameters: Mapping[str, str]) -> Answer:
    query, now = parameters["query"], float(parameters.get("time") or time.time())
    matrix, clock = query.endswith("]"), query == "time()"
    at = now if matrix or clock else now - back_end.lag
    status, content = upstream("/api/v1/query", {**parameters, "query": _hiding(back_end, query), "time": repr(at)})
    if status != 200:
        return status, content
    answer = json.loads(content)
    data = answer["data"]
    if data["resultType"] == "matrix":
        data["result"] = list(_stored(back_end, data["result"], until=now - back_end.lag))
    elif data["resultType"] == "vector":
        found = [one for one in data["result"] if one["metric"].get("le") not in back_end.without_buckets]
        data["result"] = [{**one, "value": [now, one["value"][1]]} for one in found]
    if back_end.vectors_only and data["resultType"] == "scalar":
        value = {"metric": {}, "value": [now, str(float(data["result"][1]) - 30)]}
        data.update(resultType="vector", result=[value])
    if back_end.partial:
        data["result"] = data["result"][::2]
    if back_end.warnings:
        answer["warnings"] = list(back_end.warnings)
    if back_end.infos:
        answer["infos"] = list(back_end.infos)
    if back_end.partial_field:
        answer["isPartial"] = back_end.partial
    return 200, json.dumps(answer).encode()


def _hiding(back_end: BackEnd, query: str) -> str:
    """A query that meets nothing of what is not there: other names, outside of quoted values."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', query)
    for name in (*back_end.without_labels, *back_end.without_metrics):
        parts[::2] = [re.sub(rf"\b{re.escape(name)}\b", f"absent_{name}", part) for part in parts[::2]]
    return "".join(parts)


def _stored(back_end: BackEnd, found: Sequence[dict[str, Any]], *, until: float) -> Iterator[dict[str, Any]]:
    for series in found:
        labels = {name: value for name, value in series["metric"].items() if name not in back_end.without_labels}
        if labels.get("le") in back_end.without_buckets:
            continue
        for copy in back_end.copies or (Copy({}),):
            samples = [[at + copy.shift, value] for at, value in series["values"] if at + copy.shift <= until]
            if samples:
                own = {name: value.format_map(labels) for name, value in copy.labels.items()}
                yield {"metric": {**labels, **own}, "values": samples}
