"""The official Kubernetes client, reduced to JSON in and JSON out, with short time-outs and errors that say what to do.

Paths instead of the generated classes: importing ``CoreV1Api`` alone costs a second of CPU, and objects stay exactly
as the server sent them.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import kubernetes.client
import urllib3.exceptions
from kubernetes.stream.ws_client import WSClient, get_websocket_url

from chaos.adapters.kubernetes_config import load
from chaos.adapters.kubernetes_denials import cure
from chaos.errors import InputError, MeshError, Setting
from chaos.safety.retry import Transient, read, write
from chaos.values.secrets import without_secrets
from chaos.version import __version__

_GRACE: Final = 2.0
"""Seconds after which a watch that the server should have ended is given up."""
EXEC: Final = 5.0
"""Seconds within which a command in a container must have ended; it asks a proxy on its own loopback."""
PAGE: Final = 500
"""Objects a page of a list."""
_DENIED: Final = (403, 404, 405)
_BUSY: Final = (429, 500, 502, 503, 504)
_WARNING: Final = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')
_CLOCK_SET: Final = 5.0
"""Seconds of difference that rounding and a slow network don't explain."""
_STDOUT, _ERROR = 1, 3
Query = Mapping[str, str]
Objects = list[dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """A successful answer: its JSON and the server's warnings (RFC 9111 ``Warning`` headers of code 299)."""

    body: Any
    warnings: tuple[str, ...] = ()


class Watch:
    """The changes of a collection, as the server tells them: ``{"type": …, "object": …}``."""

    def __init__(self, response: Any, unanswered: Callable[[Exception], MeshError]) -> None:
        self._response = response
        self._unanswered = unanswered

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Each change; ends when the server ends it.

        Raises:
            MeshError: the connection broke, or the server says why it can't go on (status 410: begin again).
        """
        try:
            for line in self._response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    said = event["object"]
                    raise MeshError(f"the watch ended: {said.get('message', '')}", status=said.get("code"))
                yield event
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._unanswered(error) from error
        finally:
            self._response.close()

    def stop(self) -> None:
        """Ends it from another thread; whoever reads it gets its end, or an error."""
        with contextlib.suppress(OSError, ValueError):  # it is over already
            self._response.shutdown()


class KubernetesApi:
    """One cluster's API server.

    Args:
        kubeconfig: Path of a kubeconfig; by default ``KUBECONFIG`` or ``~/.kube/config``.
        context: Name of one of its contexts; the current one is never used. ``in-cluster`` without a kubeconfig: the
            cluster of the pod that this runs in.
        timeouts: Seconds to connect, and seconds between two pieces of an answer.

    Raises:
        InputError: there is no such context, or the kubeconfig can't be used.
    """

    def __init__(self, kubeconfig: str | None, context: str, *, timeouts: tuple[float, float]) -> None:
        if not context:
            raise InputError("no context is named, so no cluster is touched", hint=f"give {Setting.CONTEXT}")
        self.context = context
        self._timeouts = timeouts
        self._loaded = loaded = load(kubeconfig, context)
        self.namespace = loaded.namespace
        """The namespace that the context names; ``default`` where it names none."""
        self._configuration = loaded.configuration
        self._client = kubernetes.client.ApiClient(self._configuration)
        self._client.user_agent = f"istio-chaos/{__version__}"
        weakref.finalize(self, self._client.close)  # else idle connections are left to the garbage collector
        self._ahead: float | None = None

    @property
    def server(self) -> str:
        """The API server's address, without user and password."""
        return without_secrets(str(self._configuration.host))

    def server_time(self) -> float:
        """The API server's clock in Unix seconds, from the ``Date`` of its latest answer; right to about a second."""
        if self._ahead is None:
            self.get("/version")
        return time.monotonic() + (self._ahead if self._ahead is not None else time.time() - time.monotonic())

    # --- reading ---------------------------------------------------------------------------------------------------

    def get(self, path: str, query: Query | None = None, *, patient: bool = True) -> Any:
        """An object, or whatever a path gives, whose parts are already quoted; ``patient``: again where the failure may pass."""
        if not patient:
            return self._send("GET", path, query).body
        return read(lambda: self._send("GET", path, query)).body

    def find(self, path: str, *, patient: bool = True) -> Any | None:
        """An object, or ``None`` where there is none."""
        try:
            return self.get(path, patient=patient)
        except MeshError as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str, *, selector: str = "") -> Objects:
        """All objects of a collection, page by page; each with its ``kind`` and ``apiVersion``."""
        return self.collect(path, selector=selector)[0]

    def collect(self, path: str, *, selector: str = "") -> tuple[Objects, str]:
        """All objects of a collection, and the ``resourceVersion`` from which it can be watched."""
        query = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        try:
            return self._pages(path, query)
        except MeshError as error:
            if error.status != 410:  # the continuation expired: begin again, in one piece
                raise
            return self._pages(path, {**query, "limit": "0"})

    def _pages(self, path: str, query: Query) -> tuple[Objects, str]:
        found: Objects = []
        meta: Mapping[str, Any] = {}
        while True:
            going_on = meta.get("continue") or ""
            page = self.get(path, {**query, **({"continue": going_on} if going_on else {})})
            head = {"apiVersion": page.get("apiVersion", ""), "kind": str(page.get("kind", "")).removesuffix("List")}
            found += ({**head, **item} for item in page.get("items") or ())
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                return found, str(meta.get("resourceVersion") or "")

    def watch(self, path: str, version: str, *, seconds: float) -> Watch:
        """The changes of a collection after a version, as they happen.

        Args:
            path: The collection.
            version: A ``resourceVersion`` of it.
            seconds: After which the server ends it. A connection that is silently gone is noticed soon after.

        Raises:
            MeshError: it is denied, or the API does not answer.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": f"{seconds:.0f}",
        }
        what = f"WATCH {path}"
        response = self._open(what, "GET", path, query, timeouts=(self._timeouts[0], seconds + _GRACE), whole=False)
        if response.status != 200:
            raise self._failed(what, response)
        return Watch(response.response, partial(self._unanswered, what))

    # --- writing: tried again only where the server said that it did nothing -----------------------------------------

    def post(self, path: str, body: Mapping[str, Any], query: Query | None = None) -> Answer:
        """Creates something. Without an answer it may have happened."""
        return _policy(query)(lambda: self._send("POST", path, query, body))

    def ask(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Posts a question that changes nothing; tried again like a read."""
        return read(lambda: self._send("POST", path, None, body))

    def put(self, path: str, body: Mapping[str, Any], query: Query | None = None) -> Answer:
        """Replaces something. Without an answer it may have happened."""
        return _policy(query)(lambda: self._send("PUT", path, query, body))

    def merge(self, path: str, body: Mapping[str, Any], query: Query | None = None) -> Answer:
        """Changes something by a JSON merge patch. Without an answer it may have happened."""
        return write(lambda: self._send("PATCH", path, query, body))

    def delete(self, path: str, *, uid: str | None = None, version: str | None = None) -> bool:
        """Deletes something, only that of ``uid`` where given; whether there was one.

        With ``version``, only in that version: ``MeshError`` of status 409 if somebody wrote it meanwhile.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        wanted = {"uid": uid, "resourceVersion": version}
        if any(wanted.values()):
            options["preconditions"] = {key: value for key, value in wanted.items() if value}
        try:
            write(lambda: self._send("DELETE", path, None, options))
        except MeshError as error:
            if error.status == 404:
                return False
            if error.status == 409 and uid:
                found = self.find(path)
                if found is None or found["metadata"].get("uid") != uid:
                    return False
            raise
        return True

    # --- exec --------------------------------------------------------------------------------------------------------

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str | None:
        """What a command in a container prints; ``None`` where exec is denied or the command fails there.

        The client's own ``stream`` function swaps a method of the shared client while it runs, which another thread
        (the one that renews the lease) would run into; so its WebSocket class is used directly.
        """
        return read(lambda: self._execute(namespace, pod, container, command))

    def _execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> str | None:
        import websocket

        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/exec"
        asked = [
            *(("command", part) for part in command),
            ("container", container),
            ("stdout", "true"),
            ("stderr", "true"),
        ]
        _, url, headers, *_ = self._client.param_serialize(
            "GET", path, query_params=asked, header_params={}, auth_settings=["BearerToken"]
        )
        websocket.setdefaulttimeout(EXEC)
        try:
            stream = WSClient(self._configuration, get_websocket_url(url), headers, False, binary=True)  # noqa: FBT003
            try:
                stream.run_forever(timeout=EXEC)
                if stream.is_open():
                    raise MeshError(f"exec in {namespace}/{pod}: did not end within {EXEC:g} s")
                output, status = stream.read_channel(_STDOUT), stream.read_channel(_ERROR)
            finally:
                stream.close()
                stream.sock.shutdown()  # close() alone keeps the descriptor where the server closed first
        except websocket.WebSocketBadStatusException as error:
            if error.status_code in _DENIED:
                return None
            said = f"exec in {namespace}/{pod}: the API answered {error.status_code}"
            kind = Transient if error.status_code in _BUSY else MeshError
            raise kind(said, status=error.status_code, hint=cure(error.status_code, "", self.context)) from error
        except (websocket.WebSocketException, OSError) as error:
            raise Transient(f"exec in {namespace}/{pod}: {type(error).__name__}: {error}") from error
        try:
            succeeded = json.loads(status or b"{}").get("status") == "Success"
        except ValueError:
            succeeded = False
        return bytes(output or b"").decode("utf-8", "replace") if succeeded else None

    # --- inside ------------------------------------------------------------------------------------------------------

    def _send(
        self, method: str, path: str, query: Query | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        what = f"{method} {path}"
        response = self._open(what, method, path, query, body)
        if not 200 <= response.status <= 299:
            raise self._failed(what, response)
        text = response.read()
        content = _content(text)
        if content is None:
            raise MeshError(
                f"{what}: expected JSON from {self.server}, got {text[:80]!r}",
                status=response.status,
                hint="check that this address is a Kubernetes API server",
            )
        warnings = ", ".join(response.headers.getlist("Warning"))
        return Answer(content, tuple(re.sub(r"\\(.)", r"\1", found) for found in _WARNING.findall(warnings)))

    def _open(
        self,
        what: str,
        method: str,
        path: str,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        timeouts: tuple[float, float] | None = None,
        whole: bool = True,
    ) -> Any:
        """An answer of whatever status; all of it is read, or only its beginning where it succeeded."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json", **({"Content-Type": kind} if body is not None else {})}
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=timeouts or self._timeouts)
            if whole or response.status != 200:
                response.read()
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(what, error) from error
        self._note_time(response.headers.get("Date"))
        return response

    def _note_time(self, date: str | None) -> None:
        """Dates are cut to whole seconds, so the latest of several readings is the truest, unless the clock was set."""
        if not date:
            return
        try:
            ahead = parsedate_to_datetime(date).timestamp() - time.monotonic()
        except ValueError:
            return  # a proxy's nonsense; what is known stays
        known = self._ahead
        self._ahead = ahead if known is None or ahead > known or known - ahead > _CLOCK_SET else known

    def _unanswered(self, what: str, error: Exception) -> MeshError:
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        hint = f"is the API server of the context {self.context!r} up and reachable from here (VPN, firewall)?"
        text = f"{what}: no answer from {self.server}: {re.sub(r'<[^>]*>:? ?', '', reason).strip()}"
        certificate = isinstance(error, kubernetes.client.ApiException | urllib3.exceptions.SSLError)
        return (MeshError if certificate else Transient)(text, hint=hint)

    def _failed(self, what: str, response: Any) -> MeshError:
        status, text, after = response.status, response.read(), response.headers.get("Retry-After")
        content = _content(text)
        said = content.get("message") if isinstance(content, dict) else None
        message = f"{what}: {status} {said or text[:200].decode('utf-8', 'replace') or 'without a word'}"
        if status in _BUSY:
            seconds = float(after) if after and after.isdigit() else None
            return Transient(message, status=status, after=seconds)
        unrenewed = self._loaded.unrenewed if status == 401 else []
        return MeshError(
            message, status=status, hint=next(iter(unrenewed), cure(status, str(said or ""), self.context))
        )


def _policy(query: Query | None) -> Callable[[Callable[[], Answer]], Answer]:
    return read if "dryRun" in (query or {}) else write


def _content(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
