"""The HTTP session that Prometheus is asked by: its credentials, and what a denied access means.

Redirects are not followed: they lead to login pages, and further headers would go along to another host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from chaos.adapters.logs import redact_logs
from chaos.adapters.loopback import is_loopback
from chaos.errors import HarnessError, InputError, MetricsError, Setting
from chaos.model.prometheus import Prometheus
from chaos.values.secrets import redacted, without_secrets

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

    Authentication = Callable[[PreparedRequest], PreparedRequest]

PAGE: Final = "docs/how-to/managed-prometheus.md"
_UNAUTHENTICATED: Final = (401, 403)
_PROXY_WANTS: Final = 407
PROXY_HINT: Final = (
    "correct HTTPS_PROXY (HTTP_PROXY, ALL_PROXY), such as http://proxy.example:3128, with user and password if it needs them, or name the "
    "host in NO_PROXY; a SOCKS proxy needs the package PySocks"
)
_TOO_MANY: Final = 429
_HARMLESS: Final = re.compile(r"PromQL info: (?!ignored|incompatible)")
"""What Prometheus remarks on a query that looked at all samples, such as that a name does not end in ``_total``."""
_OMITTED: Final = re.compile(r"\d+ more .*annotations omitted")


class NoData(MetricsError):
    """Something answers, but not with data: it refuses, does not know the path, or is no Prometheus."""


def session_of(prometheus: Prometheus) -> Session:
    """A session with the credentials of the settings.

    Raises:
        InputError: a file or a variable is missing, or the hook can't be loaded.
    """
    from requests import Session

    url = prometheus.url.get_secret_value() if prometheus.url is not None else ""
    for name in ("ca", "certificate", "key"):
        file = getattr(prometheus, name)
        if file and not Path(file).is_file():
            raise InputError(f"{Setting.PROMETHEUS}: expected a file for {name} at {file}, found none")
    redact_logs()
    session = Session()
    session.trust_env = not is_loopback(url)  # else a proxy of the environment is asked for this very machine
    session.params = dict(parse_qsl(urlsplit(url).query))
    session.verify = prometheus.ca or not prometheus.insecure
    if prometheus.certificate:
        session.cert = (prometheus.certificate, prometheus.key) if prometheus.key else prometheus.certificate
    session.auth = _authentication(prometheus, url)
    session.hooks["response"] += [_checked, _whole]
    return session


def _authentication(prometheus: Prometheus, url: str) -> Authentication:
    """Sets headers and credentials; every secret is read again, so that one that was rotated is used."""
    from requests.auth import HTTPBasicAuth
    from urllib3 import disable_warnings
    from urllib3.exceptions import InsecureRequestWarning

    split = urlsplit(url)
    hook = _hook(prometheus.auth) if prometheus.auth else None

    def headers() -> dict[str, str]:
        found = {
            name: _secret(value.get_secret_value(), f"headers.{name}") for name, value in prometheus.headers.items()
        }
        if prometheus.bearer:
            found["Authorization"] = f"Bearer {_secret(prometheus.bearer, 'bearer')}"
        return found

    def authenticated(request: PreparedRequest) -> PreparedRequest:
        try:
            return with_credentials(request)
        except InputError as error:  # a file may be away while it is replaced: the next look asks again
            raise MetricsError(error.message, hint=error.hint) from None

    def with_credentials(request: PreparedRequest) -> PreparedRequest:
        if prometheus.insecure:
            disable_warnings(InsecureRequestWarning)  # it was asked for; pytest sets the filters again for each test
        request.headers.update(headers())
        if prometheus.user and prometheus.password:
            HTTPBasicAuth(prometheus.user.encode(), _secret(prometheus.password, "password").encode())(request)
        elif split.username and not prometheus.bearer:
            HTTPBasicAuth(unquote(split.username).encode(), unquote(split.password or "").encode())(request)
        return request if hook is None else _by_hook(hook, request, f"{prometheus.auth}")

    headers()  # what is missing is told before anything is asked
    if prometheus.password:
        _secret(prometheus.password, "password")
    return authenticated


def _secret(source: str, name: str) -> str:
    """A secret from where it is: ``env:NAME``, ``file:PATH``, or as it stands.

    Raises:
        InputError: there is none, or it can't be sent; it is not shown.
    """
    kind, colon, place = source.partition(":")
    try:
        if colon and kind == "env":
            text = os.environ[place]
        elif colon and kind == "file":
            text = Path(place).read_text(encoding="utf-8")
        else:
            text = source
    except (KeyError, OSError, UnicodeDecodeError) as error:
        why = "this variable is not set" if kind == "env" else getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{Setting.PROMETHEUS}: expected the secret for {name} at {source}: {why}") from None
    text = text.strip()  # files end in a newline
    if not text or not text.isascii() or not text.isprintable():
        what = "is empty" if not text else "has characters that no header can have, such as a line break"
        raise InputError(f"{Setting.PROMETHEUS}: the secret for {name} {what} (it is not shown)")
    return text


def _hook(name: str) -> Authentication:
    try:
        made: Any = resolve_name(name)()
    except Exception as error:  # noqa: BLE001 - somebody else's code may raise anything
        raise InputError(
            f"{Setting.PROMETHEUS}: expected auth {name!r} to make an authentication: {_why(error)}",
            hint=f"it has to be installed, or in a folder of PYTHONPATH; see {PAGE}",
        ) from None
    if not callable(made):
        raise InputError(
            f"{Setting.PROMETHEUS}: expected auth {name!r} to make an authentication for requests, got a {type(made).__name__}",
            hint=f"see {PAGE}",
        )
    return made  # type: ignore[no-any-return]


def _by_hook(hook: Authentication, request: PreparedRequest, name: str) -> PreparedRequest:
    try:
        return hook(request)
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001 - likewise
        raise MetricsError(f"the authentication {name!r} for Prometheus failed: {_why(error)}") from None


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {redacted(str(error))}"


def _checked(response: Response, **_: Any) -> None:
    """Raises where the answer is no data.

    Raises:
        NoData: with what was answered, and what to do about it.
    """
    status, where = response.status_code, without_secrets(response.url)
    if status == 200 and "json" in response.headers.get("Content-Type", "json"):
        return
    sent = [str(value) for value in response.request.headers.values()]  # which some servers repeat
    said = redacted(" ".join(response.text.split())[:200], [*sent, *(one.rpartition(" ")[2] for one in sent)])
    if response.is_redirect:
        raise NoData(
            f"{where} answers with a redirect to {without_secrets(response.headers['Location'])}",
            hint=f"that is usually a login page: give credentials that work without one, or another address ({PAGE})",
        )
    if status in _UNAUTHENTICATED:
        raise NoData(
            f"{where} denies access: status {status}: {said}",
            hint=f"give a bearer token, user and password, or a tenant's header, or others than now: {PAGE}",
        )
    if status == _PROXY_WANTS:
        raise NoData(f"the proxy before {where} denies access: status 407", hint=PROXY_HINT)
    if status == 404:
        raise NoData(
            f"{where} does not exist there: status 404: {said}",
            hint=f"back ends have a path before /api/v1, such as /prometheus: it belongs to the address ({PAGE})",
        )
    if status == _TOO_MANY:
        raise NoData(
            f"{where} limits how often it is asked: status 429: {said}", hint="raise the limits of this tenant or user"
        )
    if status == 200:
        raise NoData(
            f"{where} answers with something else than JSON: {said!r}",
            hint=f"is this Prometheus, or a login page? See {PAGE}",
        )


def _whole(response: Response, **_: Any) -> None:
    """Takes no answer that lacks a part: Prometheus and Thanos say so by ``warnings``, VictoriaMetrics by ``isPartial``.

    Remarks on the query are among the warnings of Prometheus 2.48 to 2.54, later in ``infos``.

    Raises:
        MetricsError: with what was said.
    """
    if not any(name in response.content for name in (b'"warnings"', b'"infos"', b'"isPartial"')):
        return
    try:
        answer = response.json()
    except ValueError:
        return
    remarks = [redacted(str(one)) for one in (*(answer.get("warnings") or ()), *(answer.get("infos") or ()))]
    on_query = [one for one in remarks if one.startswith("PromQL ") and not _HARMLESS.match(one)]
    if on_query:
        raise MetricsError(
            f"{without_secrets(response.url)} could not use all samples for a query: {'; '.join(on_query)}",
            hint="correct the query: classic histograms have _bucket, _sum and _count; histogram_quantile and the like read native ones",
        )
    lacks = [one for one in remarks if not one.startswith("PromQL ") and not _OMITTED.match(one)]
    if lacks or answer.get("isPartial") is True:
        raise MetricsError(
            f"{without_secrets(response.url)} answered only in part: {'; '.join(lacks) or 'isPartial'}",
            hint="find out which of its stores did not answer (Thanos: the page of stores); a part of the samples decides nothing",
        )
