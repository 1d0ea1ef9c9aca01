"""Names and addresses: hosts, gateways, labels, ports (istiod ``pkg/config/validation/agent``, ``pkg/config/labels``)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.lab.istio.validation.outcome import Told, Warned

_LABEL: Final = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD: Final = re.compile(rf"\*|(\*|\*-)?{_LABEL.pattern}")
_KEY: Final = re.compile(
    rf"(?P<domain>{_LABEL.pattern}(\.{_LABEL.pattern})*/)?(?P<name>([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])"
)
_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


def is_label(name: str) -> bool:
    """Whether it is what Istio takes for a DNS label (RFC 1123): upper case too."""
    return len(name) <= 63 and _LABEL.fullmatch(name) is not None


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def number(text: str) -> int | None:
    """An integer as Go's ``strconv.Atoi`` reads it."""
    if not _INTEGER.fullmatch(text) or len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        return None
    return int(text)


def fqdn(name: str) -> Iterator[str]:
    """A DNS name, maybe a short one."""
    yield from _length(name) or _labels(name)


def wildcard_domain(name: str) -> Iterator[str]:
    """A DNS name whose first label may be a wildcard or begin with one."""
    if told := _length(name):
        yield from told
        return
    first, dot, rest = name.partition(".")
    if len(first) > 63 or not _WILDCARD.fullmatch(first):
        yield f"domain name {name!r} invalid (label {first!r} invalid)"
    elif dot:
        yield from _labels(rest)


def partial_wildcard(name: str) -> Iterator[str]:
    """A wildcard is a whole label."""
    if "*" in name and len(name) != 1 and not name.startswith("*."):
        yield f'partial wildcard "{name}" not allowed'


def _length(name: str) -> list[str]:
    if not name:
        return ["empty domain name not allowed"]
    return [f"domain name {name!r} too long (max 255)"] if len(name.encode("utf-8", "surrogatepass")) > 255 else []


def _labels(name: str) -> list[str]:
    parts = name.split(".")
    if number(parts[-1]) is not None:
        return [f"domain name {name!r} invalid (top level domain {parts[-1]!r} cannot be all-numeric)"]
    if parts[-1] == "":
        parts.pop()  # the end of a name that says that it is a whole one
    wrong = next((part for part in parts if not is_label(part)), None)
    return [] if wrong is None else [f"domain name {name!r} invalid (label {wrong!r} invalid)"]


def listed_host(entry: str, *, gateway: bool) -> Iterator[str]:
    """``namespace/dnsName``, as Sidecars list what they import and Gateways what they serve (there also ``dnsName``)."""
    namespace, slash, name = entry.partition("/")
    if not slash:
        if not gateway:
            yield f"host {entry!r} must be of form namespace/dnsName"
            return
        name = entry
    else:
        if not namespace or not name:
            yield f"config namespace and dnsName in host entry {entry!r} cannot be empty"
        free = ("*", ".") if gateway else ("*", ".", "~")
        if namespace not in free and not is_label(namespace):
            yield f"invalid namespace value {namespace!r} in {entry!r}"
    if name != "*" and "." not in name:
        yield f"short names (non FQDN) are not allowed: {entry!r}"
    if not (gateway and is_address(name)):
        yield from wildcard_domain(name)
    yield from partial_wildcard(name)


def gateway_names(gateways: Sequence[str]) -> Told:
    """``namespace/name``, or a DNS name. Istiod looks at none behind the first DNS name (``validateGatewayNames``)."""
    for gateway in gateways:
        namespace, slash, name = gateway.partition("/")
        if not slash:
            if "." in gateway:
                short, space = gateway.split(".")[:2]
                yield Warned(
                    f'using legacy gatewayName format "{gateway}"; prefer the <namespace>/<name> format: "{space}/{short}"'
                )
            yield from fqdn(gateway)
            return
        if not is_label(namespace):
            yield f"invalid value for namespace: {namespace!r}"
        if not is_label(name):
            yield f"invalid value for gateway name: {name!r}"


def labels(given: Mapping[str, str] | None) -> Iterator[str]:
    """Keys and values of labels."""
    for key, value in (given or {}).items():
        found = _KEY.fullmatch(key)
        if found is None or len(found["domain"] or "") > 254 or len(found["name"]) > 63:
            yield f"invalid tag key: {key!r}"
        if not _VALUE.fullmatch(value):
            yield f"invalid tag value: {value!r}"


def selector(selected: Mapping[str, Any] | None, *, key: str, why: str = "{}") -> Told:
    """A workload selector: keys are given, nothing has a wildcard.

    Args:
        selected: The selector.
        key: Where it has its labels.
        why: How the warning of one that has none goes on.
    """
    if selected is None:
        return
    chosen: Mapping[str, str] = selected.get(key) or {}
    for name, value in chosen.items():
        if not name:
            yield f"empty key is not supported in selector: '={value}'"
        if "*" in name or "*" in value:
            yield f"wildcard is not supported in selector: '{name}={value}'"
    if not chosen:
        yield Warned(why.format("workload selector specified without labels"))


def export_to(entries: Sequence[str], namespace: str, *, nobody: bool = False) -> Iterator[str]:
    """Istiod ``validateExportTo``.

    Args:
        entries: The field's.
        namespace: The object's, which ``.`` stands for.
        nobody: Whether ``~`` may be given, as a ServiceEntry's may.
    """
    seen: set[str] = set()
    for entry in entries:
        meant = namespace if entry == "." else entry
        if meant in seen:
            yield f"duplicate entries in exportTo: {entry}"
        elif meant == "~" and not nobody:
            yield "exportTo ~ (none) is not allowed for Istio configuration objects"
        elif meant not in (".", "*", "~") and not is_label(meant):
            yield f"only ., *, or a valid DNS 1123 label is allowed as exportTo entry, not {entry!r}"
        else:
            seen.add(meant)
    if "*" in seen and len(entries) > 1:
        yield "cannot have both public (*) and non-public exportTo values for a resource"
    if "~" in seen and len(entries) > 1:
        yield "cannot export service entry to no one (~) and someone"


def port_number(value: int) -> Iterator[str]:
    """Of the network."""
    if not 1 <= value <= 65535:
        yield f"port number {value} must be in the range 1..65535"


def subnet(text: str) -> Iterator[str]:
    """An IP address, or a CIDR block as Go's ``netip.ParsePrefix`` takes it: bits behind the prefix may be set."""
    _, slash, bits = text.partition("/")
    if not slash:
        if not is_address(text):
            yield f"{text!r} is not a valid IP"
        return
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or bits != str(network.prefixlen) or "%" in text:
        yield f"{text!r} is not a valid CIDR block"
