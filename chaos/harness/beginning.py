"""Begins in a repository: writes what it needs, and nothing over what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chaos.adapters.experiment_file import parse_experiment
from chaos.adapters.settings_file import read_sourced
from chaos.manifests.repository import Beginning


def begin(beginning: Beginning, here: Path) -> Mapping[Path, bool]:
    """Writes the files of a beginning to the repository in which a folder is; each file, and whether it was written.

    Raises:
        DocumentError: with these values the first experiment is none; nothing was written.
    """
    root = next((one for one in (here, *here.parents) if (one / ".git").exists()), here)
    made = replace(beginning, directory=here.relative_to(root).as_posix())
    texts = {root / place: text for place, text in made.files().items()}
    for file, text in texts.items():
        if file.suffix == ".yaml":
            parse_experiment(text)
    settled = "namespaces" in read_sourced(here).settings.model_fields_set
    written = {}
    for file, text in texts.items():
        written[file] = not file.exists() and not (settled and file.name == "chaos.toml")
        if written[file]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return written
