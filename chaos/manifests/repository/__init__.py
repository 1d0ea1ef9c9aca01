"""What a repository needs to begin: a first experiment, its schema for editors, settings, services and a nightly workflow."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from chaos.library.schema import file_schema

FOLDER: Final = "experiments"
SCHEMA: Final = "experiment.schema.json"
WORKFLOW: Final = ".github/workflows/chaos-nightly.yml"
_SHOP: Final = """It passes on the lab as it is: pytest experiments/first-experiment.yaml
# Then put your own service, its caller and a path in place of the shop's."""
_ELSEWHERE: Final = """It needs a mesh that has these services: a staging cluster (docs/how-to/staging-cluster.md), or the lab with your
# manifests in place of its shop (docs/how-to/own-services.md)."""
_PLAIN: Final = r"/[\w./?=&%+~-]*"
"""Paths that need no quotes in YAML."""


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What the first experiment is about; the defaults are the lab's shop, on which it passes.

    Args:
        namespace: A staging namespace.
        service: The Service that others depend on, and that has the trouble.
        caller: The Service that depends on it, and the label ``app`` of its pods.
        path: What the load asks for at the mesh's entry.
        directory: The folder of the settings and the experiments, from the root of the repository.
    """

    namespace: str = "staging"
    service: str = "inventory-svc"
    caller: str = "order-svc"
    path: str = "/orders/42"
    directory: str = "."

    @property
    def is_the_shops(self) -> bool:
        """Whether the lab has what it is about, without manifests of one's own."""
        return self == Beginning(directory=self.directory)

    def files(self) -> dict[PurePosixPath, str]:
        """Each file's text by its path from the root of the repository."""
        here = PurePosixPath(self.directory)
        return {
            here / FOLDER / "first-experiment.yaml": self._filled("first-experiment.yaml"),
            here / FOLDER / SCHEMA: json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n",
            here / "chaos.toml": self._filled("chaos.toml"),
            here / "services.toml": self._filled("services.toml"),
            PurePosixPath(WORKFLOW): self._filled("chaos-nightly.yml"),
        }

    def _filled(self, template: str) -> str:
        values = {
            "NAMESPACE": self.namespace, "SERVICE": self.service, "CALLER": self.caller, "PATH": self.path,
            "DIRECTORY": self.directory, "PYTHON": "{}.{}".format(*sys.version_info),
            "WHERE": _SHOP if self.is_the_shops else _ELSEWHERE,
            "ASKED": self.path if re.fullmatch(_PLAIN, self.path) else json.dumps(self.path),
        }  # fmt: skip
        text = files(__package__).joinpath(template).read_text(encoding="utf-8")
        # Whole words, and none that is part of a variable's name.
        return re.sub(rf"(?<![\w$.])({'|'.join(values)})(?!\w)", lambda found: values[found[1]], text)
