"""Headers that a route or a destination sets, adds and removes (istiod ``route.go`` TranslateHeadersOperations)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class HeaderOperations:
    """In Envoy's words, for both directions; and the host that a request is sent on with, where one is set."""

    fields: Mapping[str, list[Any]] = field(default_factory=dict)
    authority: str = ""

    def joined(self, route: dict[str, Any]) -> None:
        """Appends them to those of the route."""
        for key, values in self.fields.items():
            route[key] = [*route.get(key, ()), *values]


_NONE: Final = HeaderOperations()


def header_operations(headers: Mapping[str, Any] | None) -> HeaderOperations:
    """Those of a ``headers`` field. ``host`` and pseudo headers can't be changed as headers: the host is rewritten."""
    if not headers:
        return _NONE
    found: dict[str, list[Any]] = {}
    authority = ""
    for side in ("request", "response"):
        wanted = headers.get(side) or {}
        replaced, added = wanted.get("set") or {}, wanted.get("add") or {}
        options = [*_options(replaced, "OVERWRITE_IF_EXISTS_OR_ADD"), *_options(added, "APPEND_IF_EXISTS_OR_ADD")]
        removed = [name for name in wanted.get("remove") or () if not _is_internal(name)]
        if options:
            found[f"{side}_headers_to_add"] = options
        if removed:
            found[f"{side}_headers_to_remove"] = removed
        if side == "request":
            authority = _authority(replaced) or _authority(added)
    return HeaderOperations(found, authority)


def _options(values: Mapping[str, str], action: str) -> Iterable[dict[str, Any]]:
    for key, value in sorted(values.items()):
        if not _is_internal(key):
            yield {"header": {"key": key, "value": value}, "append_action": action}


def _authority(values: Mapping[str, str]) -> str:
    return next((value for key, value in values.items() if key.lower() in ("host", ":authority")), "")


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
