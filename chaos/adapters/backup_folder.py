"""A backup as a folder for Git: one YAML file for each object, ``staging/virtualservices/reviews.yaml``, and what it is of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from chaos.errors import InputError
from chaos.istio.resources import BY_NAME, KINDS
from chaos.model.backup import Backup, Key, key_of
from chaos.values.documents import as_documents
from chaos.values.unreadable import UNREADABLE, fault_of

INDEX: Final = "backup.yaml"
_FORMAT: Final = 1


def write_backup(folder: Path, backup: Backup) -> list[Path]:
    """Makes the folder hold this backup; the files that were written or removed.

    Files of objects that are no more are removed, if they are of the backup's namespaces and kinds; no other file is touched.

    Raises:
        InputError: the folder has something else, or can't be written to.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / INDEX).exists():
        entries = sorted(one.name for one in folder.iterdir() if one.name != ".git")
        if entries:
            raise InputError(
                f"{folder}: expected an empty folder or a backup, found {', '.join(entries[:3])}",
                hint="name a folder of its own",
            )
    texts = {folder / INDEX: _index(backup)}
    texts |= {folder / place_of(key): f"{as_documents([obj])}\n" for key, obj in sorted(backup.objects.items())}
    stale = [file for file in _files(folder) if file not in texts and _is_of(backup, file, folder)]
    changed = []
    try:
        for file, text in texts.items():
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
                changed.append(file)
        for file in stale:
            file.unlink()
    except OSError as error:
        raise InputError(f"{folder}: expected a folder that can be written to: {error}") from error
    return [*changed, *stale]


def read_backup(folder: Path) -> Backup:
    """The backup that a folder holds.

    Raises:
        InputError: it holds none, or one that was damaged.
    """
    if not (folder / INDEX).is_file():
        raise InputError(
            f"{folder}: expected a backup, with a file {INDEX}", hint=f"chaosctl backup save {folder} makes one"
        )
    index = _read(folder / INDEX)
    known = ("cluster", "namespaces", "kinds")
    if not isinstance(index, Mapping) or index.get("format") != _FORMAT or any(key not in index for key in known):
        raise InputError(
            f"{folder / INDEX}: expected format: {_FORMAT}, {', '.join(known)}", hint="restore this file from Git"
        )
    objects: dict[Key, Mapping[str, Any]] = {}
    for file in _files(folder):
        obj = _read(file)
        try:
            key = key_of(obj)
            at_home = place_of(key) == file.relative_to(folder) and isinstance(obj.get("spec"), Mapping)
        except (KeyError, TypeError, AttributeError):
            at_home = False
        if not at_home:
            raise InputError(
                f"{file}: expected an object of Istio's with the namespace, kind and name that its path has",
                hint="restore this file from Git, or move it elsewhere",
            )
        objects[key] = obj
    return Backup(str(index["cluster"]), tuple(index["namespaces"]), tuple(index["kinds"]), objects)


def place_of(key: Key) -> Path:
    """Where an object's file is in the folder."""
    namespace, kind, name = key
    return Path(namespace, BY_NAME[kind].plural, f"{name}.yaml")


def _index(backup: Backup) -> str:
    return "# Written by chaosctl backup save; what this folder is a backup of.\n" + as_documents([{
        "format": _FORMAT, "cluster": backup.cluster, "namespaces": list(backup.namespaces), "kinds": list(backup.kinds),
    }]) + "\n"  # fmt: skip


def _files(folder: Path) -> Iterator[Path]:
    for one in KINDS:
        yield from sorted(folder.glob(f"*/{one.plural}/*.yaml"))


def _is_of(backup: Backup, file: Path, folder: Path) -> bool:
    namespace, plural, _ = file.relative_to(folder).parts
    return namespace in backup.namespaces and plural in {BY_NAME[kind].plural for kind in backup.kinds}


def _read(file: Path) -> Any:
    try:
        found = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        json.dumps(found)
        return found
    except TypeError as error:
        raise InputError(
            f"{file}: expected only values that JSON has, too: {error}",
            hint="put dates and the like in quotation marks, or restore this file from Git",
        ) from None
    except UNREADABLE as error:
        raise InputError(
            f"{file}: expected YAML that can be read: {fault_of(error)}", hint="restore this file from Git"
        ) from None  # what the parser says may quote what stands in it
