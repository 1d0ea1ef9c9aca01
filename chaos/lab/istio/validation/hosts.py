"""Names: hosts, gateways, labels (istiod ``pkg/config/validation/agent``)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_LABEL: Final = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def host_problem(host: str) -> Iterator[str]:
    """A DNS name, maybe with a wildcard as its first part, or an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return
    if not host or len(host) > 255:
        yield f"domain name {host!r} must have 1 to 255 characters"
        return
    parts = host.rstrip(".").split(".")
    if parts[0].startswith("*"):
        if parts[0] not in ("*",) and not _LABEL.fullmatch(parts[0][1:].lstrip("-") or "x"):
            yield f"domain name {host!r} invalid (label {parts[0]!r} invalid)"
        parts = parts[1:]
    for part in parts:
        if len(part) > 63 or not _LABEL.fullmatch(part):
            yield f"domain name {host!r} invalid (label {part!r} invalid)"
            return


def gateway_problem(gateway: str) -> Iterator[str]:
    """``name``, ``namespace/name`` or ``mesh``."""
    parts = gateway.split("/")
    if len(parts) > 2:
        yield f"config references a gateway by an invalid name: {gateway!r}"
        return
    for part in parts:
        if "." in part and len(parts) == 1:
            yield from host_problem(part)
        elif not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", part):
            yield f"invalid value for gateway name: {gateway!r}"
            return


def label_problems(labels: Mapping[str, str]) -> Iterator[str]:
    """Keys and values of labels."""
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            yield f"invalid tag key: {key!r}"
        if len(value) > 63 or not _VALUE.fullmatch(value):
            yield f"invalid tag value: {value!r}"


def selector_problems(selector: Mapping[str, Any] | None) -> Iterator[str]:
    """A workload selector of the security API: keys are given, nothing has a wildcard."""
    labels: Mapping[str, str] = (selector or {}).get("matchLabels") or {}
    for key, value in labels.items():
        if not key:
            yield "empty key is not supported in selector"
        if "*" in key or "*" in value:
            yield f"wildcard is not supported in selector: {key}={value}"
    yield from label_problems({k: v for k, v in labels.items() if k and "*" not in f"{k}{v}"})
