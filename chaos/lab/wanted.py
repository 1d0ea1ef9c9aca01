"""What a lab is to run: the shop, or manifests of the user's. It comes to the supervisor as its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from chaos.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """The user's choice; without manifests it is the shop.

    Attributes:
        manifests: Files and folders of Kubernetes and Istio YAML that are loaded instead of the shop.
        behaviours: The file that says what answers for their workloads.
        without: Kinds that are left out of the manifests because the user says so.
        strict: Whether manifests are refused that would be set aside.

    Raises:
        InputError: Something is said about manifests, and there are none.
    """

    manifests: Sequence[Path] = ()
    behaviours: Path | None = None
    without: Sequence[str] = ()
    strict: bool = False

    def __post_init__(self) -> None:
        said = {"behaviours": self.behaviours, "--without": self.without, "--strict": self.strict}
        if not self.manifests and any(said.values()):
            about = " and ".join(name for name, value in said.items() if value)
            raise InputError(f"{about}: for manifests of your own only", hint="add --manifests PATH")

    def arguments(self) -> list[str]:
        """As arguments of another process, wherever it runs."""
        given = [part for path in self.manifests for part in ("--manifests", str(path.resolve()))]
        given += ["--behaviours", str(self.behaviours.resolve())] if self.behaviours else []
        given += [part for kind in self.without for part in ("--without", kind)]
        return [*given, "--strict"] if self.strict else given

    @staticmethod
    def declare(parser: argparse.ArgumentParser) -> None:
        """Tells a parser of these arguments."""
        parser.add_argument(
            "--manifests", type=Path, action="append", default=[], help="load these instead of the shop"
        )
        parser.add_argument("--behaviours", type=Path, help="what answers for their workloads")
        parser.add_argument("--without", action="append", default=[], help="a kind to leave out")
        parser.add_argument("--strict", action="store_true", help="refuse what would be set aside")

    @classmethod
    def of(cls, given: argparse.Namespace) -> Self:
        """What the arguments said."""
        return cls(given.manifests, given.behaviours, given.without, given.strict)


THE_SHOP: Final = Wanted()
