"""Addresses of this very machine, which no proxy of the environment leads to (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from chaos.safety.children import environment_of_child


def is_loopback(url: str) -> bool:
    """Whether an URL leads to this machine, as Go's clients tell it."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def excepting(url: str, no_proxy: str | None) -> str:
    """A ``NO_PROXY`` that has the host of an URL, too."""
    return ",".join(filter(None, (no_proxy, urlsplit(url).hostname)))


def directly(url: str, hidden: Collection[str] = ()) -> dict[str, str]:
    """The environment for a process whose clients reach an URL of this machine without a proxy, and others as before.

    Args:
        url: The URL.
        hidden: Variables that it must not have; see ``environment_of_child``.
    """
    found = environment_of_child(hidden)
    if is_loopback(url):
        # Those who read the one in lower case do not look at the other.
        found["no_proxy"] = found["NO_PROXY"] = excepting(url, found.get("no_proxy") or found.get("NO_PROXY"))
    return found
