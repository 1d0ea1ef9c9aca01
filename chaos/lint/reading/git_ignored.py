"""What Git leaves out of a repository: files that are neither in it nor meant to be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

_LIMIT: Final = 60
"""Seconds."""
_OF_A_HOOK: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Variables that Git sets for its hooks, and that would lead from another folder to the wrong place."""


def ignored(folder: str) -> frozenset[str]:
    """Absolute paths of the folders and files below a folder that Git ignores; a folder stands for all that is in it.

    What is in the repository in spite of a pattern is not among them. Empty where the folder is in no repository, is itself
    ignored as a whole, or where Git is not there or fails: then more is looked at, never less.
    """
    listing = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    command = ["git", "-c", "core.fsmonitor=false", "-C", folder, *listing]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_LIMIT, check=True)
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    top = os.path.abspath(folder)  # noqa: PTH100 - links keep their names, as in what is walked over
    listed = [os.fsdecode(one).rstrip("/") for one in done.stdout.split(b"\0") if one]
    return frozenset() if "." in listed else frozenset(str(Path(top, one)) for one in listed)
