"""What has to be installed for the lab: the packages of the extra ``lab``, and the server of Prometheus, which is none."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from chaos.errors import LabError

BINARY_VARIABLE: Final = "CHAOS_PROMETHEUS_BINARY"
_OF_THE_EXTRA: Final = re.compile(r"""(([\w.-]+)[^;]*?)\s*;.*extra == ["']lab["']""")
_UNPACK: Final = Path(__file__).with_name("unpack_package.sh")


def require(told: Callable[[str], None] = lambda _: None) -> None:
    """Makes sure that everything is there that the lab needs. Prometheus is set up where it is missing, and told so.

    Raises:
        LabError: Something is not; it names all of it.
    """
    require_packages()
    if _found() is None:
        _set_up(told)


def require_packages() -> None:
    """Makes sure that the packages of the extra ``lab`` are installed.

    Raises:
        LabError: Some are not; it names all of them.
    """
    if missing := missing_of(metadata.requires("istio-chaos") or ()):
        raise LabError(
            f"the embedded lab needs packages that are not installed: {', '.join(missing)}",
            hint=f"{install(missing.values())}; or name a cluster's context",
        )


def missing_of(requirements: Iterable[str]) -> dict[str, str]:
    """The packages that the extra ``lab`` names in a package's requirements and that are not installed, as it names them."""
    named = (_OF_THE_EXTRA.match(one) for one in requirements)
    return {one[2]: one[1] for one in named if one and not any(metadata.distributions(name=one[2]))}


def install(requirements: Iterable[str]) -> str:
    """The command that installs packages by their own names: under the harness's, an index may have none or another one."""
    return f"python -m pip install {shlex.join(requirements)}"


def find_prometheus() -> Path:
    """The server's binary: ``$CHAOS_PROMETHEUS_BINARY``, else on PATH, else where it is set up.

    Raises:
        LabError: There is none.
    """
    if (found := _found()) is None:
        raise LabError("the lab needs the server `prometheus`, and there is none", hint=_BY_HAND)
    return found


def find_promtool() -> Path | None:
    """Prometheus' checker, which comes beside its server; ``None`` where it isn't."""
    beside = find_prometheus().with_name("promtool")
    return beside if os.access(beside, os.X_OK) else None


_BY_HAND: Final = (
    "download it from https://prometheus.io/download/, then put it on PATH or name it: "
    f"export {BINARY_VARIABLE}=/path/to/prometheus"
)


def _found() -> Path | None:
    named = os.environ.get(BINARY_VARIABLE)
    if named and shutil.which(named) is None:
        raise LabError(
            f"{BINARY_VARIABLE} is {named!r}, which is no executable file", hint=f"correct or unset {BINARY_VARIABLE}"
        )
    found = named or shutil.which("prometheus") or shutil.which(_home() / "usr" / "bin" / "prometheus")
    return Path(found).absolute() if found else None


def _home() -> Path:
    """Where it is set up: in the virtual environment, and so gone with it; without one, among the user's own data."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix, "opt", "prometheus")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data, "istio-chaos", "prometheus")


def _set_up(told: Callable[[str], None]) -> None:
    home = _home()
    told(f"no prometheus on PATH: unpacking this system's package of it into {home} (not installed, no daemon) …")
    done = subprocess.run(
        ["bash", _UNPACK, "prometheus", home], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0 or _found() is None:
        raise LabError(
            "the lab needs the server `prometheus`: it is not on PATH, and this system's package of it could not be "
            f"unpacked: {done.stderr.strip() or 'it has no such binary'}",
            hint=_BY_HAND,
        )
