"""``services.toml``: a team's services, as the suites know them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError

from chaos import InputError
from chaos.values.declared import Declared, HostName, Name, told
from chaos_suites.tables import (
    Alert,
    Authorization,
    Breaker,
    Canary,
    ControlPlane,
    Degraded,
    Ejection,
    Identities,
    Ingress,
    KeyMetrics,
    Mirror,
    Part,
    Retries,
    Routing,
    Timeout,
    Tracing,
    Versions,
)

SHOP: Final = Path(__file__).parent / "shop" / "services.toml"
"""The lab's shop, with the configuration beside it."""


class Services(Declared):
    """The file.

    Args:
        namespace: The staging namespace of all services that it names.
        host: The Host header of requests at the entry, for a gateway that is reached by an address.
        label: The label of pods whose value is their Service's name.
        rate: Requests per second of the load that experiments send.
    """

    model_config = ConfigDict(alias_generator=None)

    namespace: Name
    host: HostName | None = None
    label: str = "app"
    rate: float = Field(40, gt=0, le=1000)
    canary: Canary | None = None
    routing: Routing | None = None
    mirror: Mirror | None = None
    ingress: Ingress | None = None
    timeout: Timeout | None = None
    retries: Retries | None = None
    breaker: Breaker | None = None
    ejection: Ejection | None = None
    degraded: Degraded | None = None
    identities: Identities | None = None
    authorization: Authorization | None = None
    key_metrics: KeyMetrics | None = None
    alert: Alert | None = None
    tracing: Tracing | None = None
    versions: Versions = Versions()
    control_plane: ControlPlane | None = None


def read_services(file: Path) -> Services:
    """What a file says.

    Raises:
        InputError: it can't be read, or has something that is not of its form; all mistakes are named.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: can't be read as TOML: {error}", hint=_HINT) from error
    try:
        found = Services.model_validate(_placed(document, file.parent))
    except ValidationError as error:
        raise InputError(f"{file}: {'; '.join(told(error))}", hint=_HINT) from None
    if missing := [one for part in _parts(found) for one in part.files if not one.is_file()]:
        raise InputError(f"{file}: {', '.join(map(str, missing))}: expected a file", hint=_HINT)
    return found


_HINT: Final = "docs/reference/suites.md has every table and key"


_FILES: Final = ("authority", "configuration", "rules")


def _placed(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Files as paths that begin in the folder of the document."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        found[key] = _placed(value, folder) if isinstance(value, dict) else value
        if key in _FILES and isinstance(value, str):
            found[key] = folder / value
        elif key in _FILES and isinstance(value, list):
            found[key] = [folder / one if isinstance(one, str) else one for one in value]
    return found


def _parts(services: Services) -> list[Part]:
    values = [getattr(services, name) for name in Services.model_fields]
    return [one for one in values if isinstance(one, Part)]
