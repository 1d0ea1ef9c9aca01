"""Addresses of this very machine, which no proxy of the environment leads to (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``)."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit


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


def directly(url: str) -> dict[str, str]:
    """This process's environment, for one whose clients reach an URL of this machine without a proxy, and others as before."""
    found = dict(os.environ)
    if is_loopback(url):
        # Those who read the one in lower case do not look at the other.
        found["no_proxy"] = found["NO_PROXY"] = excepting(url, found.get("no_proxy") or found.get("NO_PROXY"))
    return found
