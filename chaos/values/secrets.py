"""What must be shown to nobody: addresses with a password in them, and texts of others that may have one.

A secret value is a pydantic ``SecretStr``: its ``repr``, its text and its JSON are stars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr

STARS: Final = "**********"
"""As ``SecretStr`` shows itself."""
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^?#]*@)?(?P<rest>[^?#@]*)")
_USER: Final = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_CREDENTIALS: Final = re.compile(r"\b(Bearer|Basic)\s+(?=\S*[0-9=._])[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_NAMES: Final = "token|secret|passw|passphrase|credential|signature|jwt|(?:api|access|private|subscription)[-_]?key"
_WHOLE: Final = "key|auth|authorization|sig|session|sessionid"
"""Names of parameters that are telling as they stand; in longer ones, such as ``keyword`` and ``author``, they are not."""
_PARAMETER: Final = re.compile(
    rf"(?P<name>[?&](?:[^=&\s#]{{0,80}}(?:{_NAMES})[^=&\s#]{{0,40}}|{_WHOLE})=)[^&\s#\"'<>]+", re.IGNORECASE
)
_ASSIGNED: Final = re.compile(
    rf"""(?P<name>(?<![\w.?&-])[\w.-]*(?:{_NAMES})[\w-]{{0,40}}(?:=|"\s*:\s*)["']?)(?!env:|file:)[^\s"'<>,;&=…*][^\s"'<>,;&]{{3,}}""",
    re.IGNORECASE,
)
"""As commands and servers say it: ``id_token=…``, ``"password": "…"``."""
_TELLING: Final = re.compile(_NAMES, re.IGNORECASE)
_FEWEST: Final = 6
"""Characters of a known secret: what is shorter is in any text, and was not worth hiding."""


HEADER_NAME: Final = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
"""A header's name (RFC 9110, 5.6.2)."""


def _names(headers: Any) -> Any:
    if isinstance(headers, Mapping) and not all(re.fullmatch(HEADER_NAME, str(name)) for name in headers):
        raise ValueError(
            "expected a header's name, such as X-Scope-OrgID, with its value given separately (not shown here, since it may be a secret)"
        )
    return headers


NAMED: Final = BeforeValidator(_names)
"""Of headers that are sent: a name that can be none is mostly a whole header, with its secret."""


class Address(SecretStr):
    """A URL. Shown without user, password and query, which ``get_secret_value`` has."""

    def _display(self) -> str:
        return without_secrets(self.get_secret_value())


def without_secrets(url: str) -> str:
    """An address without user, password, query and fragment, whether or not it is of the right form."""
    found = _URL.match(url)
    return f"{found['scheme'] or ''}{found['rest']}" if found else ""


def is_url(text: str) -> bool:
    """Whether it is a URL of HTTP or HTTPS with a host that can be one, and a port that is one."""
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:  # a port that is no number, or half an IPv6 address
        return False
    labels = host.removesuffix(".").split(".") if ":" not in host else ["ipv6"]
    fits = url.scheme in ("http", "https") and port != 0 and all(0 < len(one) < 64 for one in labels)
    return fits and not re.search(r"\s", text)


def telling_values(named: Mapping[str, str]) -> Iterator[str]:
    """Values that are secrets by their names, such as those of ``SHOP_TOKEN`` and ``DB_PASSWORD``."""
    return (value for name, value in named.items() if _TELLING.search(name))


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """A text of somebody else's without what looks like a secret in it: users of URLs, credentials, telling parameters.

    Args:
        text: Any text.
        known: Secrets that it may have; they are taken out, too.
    """
    for secret in sorted({one for one in known if len(one) >= _FEWEST}, key=len, reverse=True):
        text = text.replace(secret, STARS)
    text = _USER.sub(f"{STARS}@", text)
    text = _CREDENTIALS.sub(rf"\1 {STARS}", text)
    text = _PARAMETER.sub(rf"\g<name>{STARS}", text)
    return _ASSIGNED.sub(rf"\g<name>{STARS}", text)
