"""The mesh's entry over HTTP, as the ``Probe`` port. It goes there as the load does: directly, whatever proxies the environment names."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chaos.adapters.logs import redact_logs
from chaos.adapters.loopback import is_loopback
from chaos.values.entry import Contact, Hindrance
from chaos.values.secrets import redacted

if TYPE_CHECKING:
    import httpx

    from chaos.model.experiment import Request

_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""What OpenSSL says where the other side answers a handshake with something else than TLS."""
_SERVED_BY: Final = "x-envoy-upstream-service-time"
"""Envoy's router adds it to every answer of a service, and to none of its own."""


class HttpProbe:
    """Asks the entry: a connection, or one request of the load.

    Args:
        timeout: Seconds that a connection, and then its answer, may take; the resolver of names has its own limit.
    """

    def __init__(self, *, timeout: float = 3.0) -> None:
        redact_logs()
        self._timeout = timeout

    def connect(self, entry: str, *, host: str | None) -> Contact:
        """Connects, with TLS for ``https``, and sends no request."""
        found = self._reach(entry, host, strict=True)
        if found.certificate:  # whether all else is well
            found = self._reach(entry, host).model_copy(update={"certificate": found.certificate})
        return found.model_copy(update={"proxied": _is_proxied(entry)})

    def ask(self, entry: str, request: Request, *, host: str | None) -> Contact:
        """Sends one request; the body of its answer is not read."""
        import httpx

        sent = request.sent()
        headers = {"Host": host, **sent["headers"]} if host else sent["headers"]
        try:
            with (
                httpx.Client(trust_env=False, verify=_trusting(), timeout=self._timeout) as client,
                client.stream(
                    request.method,
                    f"{entry}{request.path}",
                    headers=headers,
                    content=sent["body"],
                    extensions={"sni_hostname": host} if host else {},
                ) as answer,
            ):
                found = _contact(answer)
        except httpx.ConnectTimeout:
            return Contact(hindrance=Hindrance.NOT_ACCEPTED)
        except httpx.TimeoutException:
            return Contact(hindrance=Hindrance.SILENT)
        except httpx.HTTPError as error:
            found = Contact(hindrance=Hindrance.CLOSED, detail=redacted(str(error), sent["headers"].values()))
        if entry.startswith("http:") and (found.hindrance or found.status == 400) and self._speaks_tls(entry, host):
            return Contact(hindrance=Hindrance.TLS_ONLY)
        return found

    def _reach(self, entry: str, host: str | None, *, strict: bool = False) -> Contact:
        url = urlsplit(entry)
        name, port = url.hostname or "", url.port or _PORTS[url.scheme]
        try:
            with socket.create_connection((name, port), timeout=self._timeout) as connection:
                if url.scheme == "https":
                    context = ssl.create_default_context() if strict else _trusting()
                    return _shake_hands(connection, context, host or name)
        except socket.gaierror as error:
            return Contact(hindrance=Hindrance.UNKNOWN_NAME, detail=error.strerror or str(error))
        except ConnectionRefusedError:
            return Contact(hindrance=Hindrance.REFUSED)
        except TimeoutError:
            return Contact(hindrance=Hindrance.NOT_ACCEPTED)
        except OSError as error:
            return Contact(hindrance=Hindrance.UNREACHABLE, detail=error.strerror or str(error))
        return Contact()

    def _speaks_tls(self, entry: str, host: str | None) -> bool:
        tls = urlsplit(entry)
        port = tls.port or _PORTS[tls.scheme]
        name = f"[{tls.hostname}]" if ":" in (tls.hostname or "") else tls.hostname
        return self._reach(f"https://{name}:{port}", host).hindrance is None


def _is_proxied(entry: str) -> bool:
    """Whether ``requests``, which locustfiles send by, would go through a proxy of the environment."""
    from requests.utils import get_environ_proxies, select_proxy

    return not is_loopback(entry) and bool(select_proxy(entry, get_environ_proxies(entry)))


def _shake_hands(connection: socket.socket, context: ssl.SSLContext, name: str) -> Contact:
    try:
        with context.wrap_socket(connection, server_hostname=name):
            return Contact()
    except ssl.SSLCertVerificationError as error:
        return Contact(certificate=error.verify_message)
    except ssl.SSLError as error:
        plain = error.reason in _PLAIN
        detail = (error.reason or str(error)).replace("_", " ").lower()
        return Contact(hindrance=Hindrance.NO_TLS if plain else Hindrance.TLS_FAILED, detail=detail)
    except TimeoutError:
        return Contact(hindrance=Hindrance.TLS_FAILED, detail="no answer in time")
    except OSError as error:  # reset or closed meanwhile: it accepted the connection, after all
        return Contact(hindrance=Hindrance.TLS_FAILED, detail=error.strerror or str(error))


def _trusting() -> ssl.SSLContext:
    """Any certificate is taken, as Locust's users take it for declared requests; what is wrong with it ``connect`` says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _contact(answer: httpx.Response) -> Contact:
    server = answer.headers.get("server", "")
    return Contact(
        status=answer.status_code,
        location=answer.headers.get("location", ""),
        by_gateway="envoy" in server and _SERVED_BY not in answer.headers,
    )
