"""The HTTP proxy before an API server: of the kubeconfig, or of the environment."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from kubernetes.client.rest import should_bypass_proxies
from urllib3 import make_headers

from chaos.errors import InputError
from chaos.values.secrets import without_secrets

_SOCKS: Final = ("socks4", "socks4a", "socks5", "socks5h")


def set_proxy(configuration: Any) -> None:
    """Makes the client take its proxy as curl and Go's clients do: without a scheme it is an HTTP proxy; user and password are sent to it.

    Raises:
        InputError: its address is none.
    """
    given = configuration.proxy
    if not given or should_bypass_proxies(configuration.host, configuration.no_proxy or ""):
        return
    text = str(given).strip()
    text = text if "://" in text else f"http://{text}"
    try:
        url = urlsplit(text)
        known = bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        known = False
    if not known or url.scheme not in ("http", "https", *_SOCKS):
        raise InputError(
            f"expected a proxy such as http://proxy.example:3128 before the API server, got {without_secrets(text)!r}",
            hint="correct proxy-url in the kubeconfig, or HTTPS_PROXY (HTTP_PROXY, ALL_PROXY); NO_PROXY names hosts that are reached without it",
        )
    if url.scheme in _SOCKS:
        if find_spec("socks") is None:
            raise InputError(
                f"the API server is behind the SOCKS proxy {without_secrets(text)}, for which a package is missing",
                hint="pip install PySocks",
            )
        return
    if url.username:
        configuration.proxy_headers = make_headers(
            proxy_basic_auth=f"{unquote(url.username)}:{unquote(url.password or '')}"
        )
    configuration.proxy = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
