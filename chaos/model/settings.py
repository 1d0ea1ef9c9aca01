"""Where the harness may act. Without settings: only on the embedded lab."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field

from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.model.prometheus import Prometheus, Url
from chaos.values.declared import Declared
from chaos.values.quantities import Duration

Name = Annotated[str, Field(min_length=1)]
_GLOB: Final = re.compile(r"[a-z0-9*?\-\[\]!]+")
_LITERAL: Final = 3
"""Characters that a pattern must spell out: ``*`` would make every namespace with the label staging."""
_NEVER: Final = (ROOT_NAMESPACE, "kube-system", "kube-public", "kube-node-lease", "prod", "production", "live")
"""Names that no pattern may cover; they could still be listed as they are, which nobody does by accident."""


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def _namespace(name: str) -> str:
    if not _is_pattern(name):
        return name
    if not _GLOB.fullmatch(name) or sum(character.isalnum() for character in name) < _LITERAL:
        raise ValueError(
            f"the pattern {name!r} is too wide: expected at least {_LITERAL} letters, such as 'team-*-staging'"
        )
    covered = [one for one in _NEVER if fnmatchcase(one, name)]
    if covered:
        raise ValueError(f"the pattern {name!r} covers {', '.join(covered)}")
    return name


def _spelled_out(name: str) -> str:
    if _is_pattern(name):
        raise ValueError(
            f"expected the name of a namespace, since changes are allowed by name, and got the pattern {name!r}"
        )
    return name


class Caps(Declared):
    """The most that an experiment may declare.

    Args:
        percentage: Of the requests, for each kind of fault.
        delay: The longest ``fixedDelay``.
        duration: The longest ``limits.fault``.
        rate: Arrivals per second of the load.
    """

    model_config = ConfigDict(alias_generator=None)

    percentage: float = Field(100.0, gt=0, le=100)
    delay: Duration = timedelta(seconds=60)
    duration: Duration = timedelta(minutes=30)
    rate: float = Field(1000.0, gt=0)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            percentage: float = 100.0,
            delay: timedelta | str = "60s",
            duration: timedelta | str = "30m",
            rate: float = 1000.0,
        ) -> None: ...


class Settings(Declared):
    """The staging rules' values.

    Args:
        namespaces: Names of the namespaces that experiments may touch, or patterns of them (``team-*-staging``).
        labels: Labels that such a namespace must carry.
        clusters: UIDs of ``kube-system`` of the clusters that may be touched; if empty, any cluster.
        root_namespace: The mesh's root namespace, never touched.
        caps: The most that an experiment may declare.
        changes: Those of the namespaces, by their names, in which Istio's configuration may be changed for a while.
        credentials: What to do if the harness's own identity may write VirtualServices outside these namespaces.
        prometheus: The Prometheus that scrapes the mesh, if no option names one: its URL, or a ``Prometheus`` with credentials.
        entry: URL at which the load enters the mesh, if no option names one.
        scrape_interval: How often the proxies are scraped; by default that is learned from their samples.
    """

    model_config = ConfigDict(alias_generator=None)

    namespaces: tuple[Annotated[Name, AfterValidator(_namespace)], ...] = ()
    labels: Mapping[str, str] = Field(default_factory=lambda: {"env": "staging"}, min_length=1)
    clusters: tuple[Name, ...] = ()
    root_namespace: Name = ROOT_NAMESPACE
    caps: Caps = Caps()
    changes: tuple[Annotated[Name, AfterValidator(_spelled_out)], ...] = ()
    credentials: Literal["warn", "refuse"] = "warn"
    prometheus: Prometheus = Prometheus()
    entry: Url | None = None
    scrape_interval: Duration | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            namespaces: Sequence[str] = (),
            labels: Mapping[str, str] = ...,
            clusters: Sequence[str] = (),
            root_namespace: str = "istio-system",
            caps: Caps = ...,
            changes: Sequence[str] = (),
            credentials: Literal["warn", "refuse"] = "warn",
            prometheus: Prometheus | str = ...,
            entry: str | None = None,
            scrape_interval: timedelta | str | None = None,
        ) -> None: ...

    def lists(self, namespace: str) -> bool:
        """Whether a namespace is on the list, by its name or by a pattern."""
        return any(
            fnmatchcase(namespace, entry) if _is_pattern(entry) else namespace == entry for entry in self.namespaces
        )

    def listed(self, known: Iterable[str]) -> tuple[str, ...]:
        """The namespaces of the list: all names that it spells out, and those of the known ones that a pattern covers."""
        named = [entry for entry in self.namespaces if not _is_pattern(entry)]
        return tuple(dict.fromkeys([*named, *(name for name in sorted(known) if self.lists(name))]))

    @property
    def has_patterns(self) -> bool:
        """Whether the namespaces have to be asked for to know which are meant."""
        return any(map(_is_pattern, self.namespaces))


LAB: Final = Settings(namespaces=("staging",), changes=("staging",))
"""What holds on the embedded lab."""
