"""Manifests as they are in repositories: files, folders, and folders that kustomize builds."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaos.errors import InputError
from chaos.lab.api.bodies import yaml_reader
from chaos.lab.api.resources import Resource, resource_of
from chaos.lab.other_kinds import other
from chaos.values.unreadable import UNREADABLE, fault_of

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_BUILD_LIMIT: Final = 60.0
"""Seconds that kustomize may take."""
Object = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """One object and where it was found."""

    where: str
    obj: Object
    resource: Resource


@dataclass(frozen=True)
class Found:
    """What manifests have.

    Attributes:
        documents: What is loaded.
        aside: What is not, with the reason; a sentence each.
    """

    documents: Sequence[Document] = ()
    aside: Sequence[str] = ()


@dataclass(frozen=True)
class _Text:
    """Documents before they are checked. In a file that is named itself, each has to be an object."""

    where: str
    text: str
    named: bool


def read(paths: Sequence[Path], *, without: Collection[str] = (), strict: bool = False) -> Found:
    """Every object of files and folders, Lists taken apart.

    Args:
        paths: Of files and folders. A folder with a ``kustomization.yaml`` is built by kustomize.
        without: Kinds that are left out because the user says so.
        strict: Refuse what would be set aside.

    Raises:
        InputError: Everything that can't be read, or that can't be left away, at once.
    """
    documents: list[Document] = []
    aside: list[str] = []
    problems: list[str] = []
    left = set(without)
    for source in _texts(paths):
        try:
            content = list(yaml_reader().load_all(source.text))
        except UNREADABLE as error:
            problems.append(f"{source.where}: can't be read as YAML: {fault_of(error, source.text)}")
            continue
        for number, document in enumerate(content, 1):
            for obj in _objects(document):
                where = f"{source.where}, document {number}"
                kind = obj.get("kind") if isinstance(obj, dict) else None
                if kind in without:
                    left.discard(str(kind))
                    aside.append(f"{where}: {kind} {_name(obj)}: left out by --without")
                elif not source.named and not _is_meant(obj):
                    (problems if strict else aside).append(f"{where}: set aside: no Kubernetes object")
                else:
                    _sort(where, obj, documents, problems if strict else aside, problems)
    if left:
        problems.append(f"no object has the kind {', '.join(sorted(left))}, which is to be left out")
    if problems:
        raise InputError(
            "these manifests can't be loaded:\n  " + "\n  ".join(problems),
            hint="correct them; or `--without KIND` leaves a kind out because you know that the answer does not depend on it"
            " (docs/reference/lab.md says what the lab serves, and what it sets aside)",
        )
    if not documents:
        raise InputError(f"expected Kubernetes objects in {', '.join(map(str, paths))}, found none that the lab serves")
    return Found(documents, aside)


def _sort(where: str, obj: Any, documents: list[Document], aside: list[str], problems: list[str]) -> None:
    """Adds one object to those that are loaded, set aside, or wrong."""
    if not isinstance(obj, dict) or not obj.get("kind") or not _name(obj):
        problems.append(f"{where}: expected a Kubernetes object with kind and metadata.name")
        return
    resource = resource_of(obj)
    named = f"{obj.get('apiVersion')} {obj['kind']} {_name(obj)}"
    if _is_test_of_a_chart(obj):
        aside.append(f"{where}: {named}: set aside: Helm makes it for `helm test` alone")
    elif resource is not None:
        served = [resource.api_version(version) for version in resource.versions]
        if obj.get("apiVersion") in served:
            documents.append(Document(where, obj, resource))
        else:
            problems.append(
                f"{where}: {named}: expected the version {' or '.join(served)}, as Kubernetes and Istio have it"
            )
    elif (found := other(obj)).refused:
        problems.append(f"{where}: {named}: the lab does not serve this kind: {found.why}")
    else:
        aside.append(f"{where}: {named}: set aside: {found.why}")


def _is_test_of_a_chart(obj: Object) -> bool:
    hooks = (obj["metadata"].get("annotations") or {}).get("helm.sh/hook")
    return isinstance(hooks, str) and all(hook.strip().startswith("test") for hook in hooks.split(","))


def _name(obj: Object) -> str:
    metadata = obj.get("metadata")
    return str(metadata.get("name") or metadata.get("generateName") or "") if isinstance(metadata, dict) else ""


def _is_meant(document: Any) -> bool:
    """Whether it may be meant as an object: values of charts, compose files and workflows have none of these keys."""
    return isinstance(document, dict) and bool(document.keys() & {"apiVersion", "kind"})


def _objects(document: Any) -> Iterable[Any]:
    if document is None:
        return ()
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
        of = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
        own = {} if kind == "List" else of  # the items of a ServiceList need not say that they are Services
        return [
            obj for item in document["items"] for obj in _objects({**own, **item} if isinstance(item, dict) else item)
        ]
    return (document,)


# -- files ------------------------------------------------------------------------------------------------------------


def _texts(paths: Sequence[Path]) -> Iterator[_Text]:
    for path in paths:
        if path.is_dir():
            yield from _folder(path)
        elif path.is_file() and path.name in _KUSTOMIZATIONS:
            yield _built(path.parent)
        elif path.is_file():
            yield _Text(str(path), _content(path), named=True)
        else:
            raise InputError(f"{path}: expected a manifest or a folder of manifests, found nothing")


def _folder(folder: Path) -> Iterator[_Text]:
    if any((folder / name).is_file() for name in _KUSTOMIZATIONS):
        yield _built(folder)
        return
    inside = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]
    built = [path.parent for path in inside if path.name in _KUSTOMIZATIONS]
    if built:
        raise InputError(
            f"{folder}: expected manifests, found folders for kustomize in it, which may be of several environments",
            hint=f"name the one to load, such as --manifests {built[-1]}",
        )
    charts = [path.parent for path in inside if path.name == "Chart.yaml"]
    if charts:
        raise InputError(
            f"{charts[0]}: expected manifests, found a Helm chart",
            hint="give the lab what it renders: helm template … > rendered.yaml",
        )
    manifests = [path for path in inside if path.suffix in _SUFFIXES]
    if not manifests:
        raise InputError(f"{folder}: expected manifests (*.yaml) in this folder, found none")
    yield from (_Text(str(path), _content(path), named=False) for path in manifests)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UNREADABLE as error:
        raise InputError(f"{file}: can't be read: {fault_of(error)}") from None


def _built(folder: Path) -> _Text:
    """What kustomize makes of a folder: kubectl has it built in."""
    command = next((argv for argv in (["kubectl", "kustomize"], ["kustomize", "build"]) if shutil.which(argv[0])), None)
    if command is None:
        raise InputError(
            f"{folder}: a kustomization.yaml is built by kubectl or kustomize, and neither is on PATH",
            hint="install kubectl, or give the lab what `kustomize build` printed elsewhere",
        )
    try:
        done = subprocess.run(
            [*command, str(folder)], capture_output=True, text=True, timeout=_BUILD_LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{folder}: `{' '.join(command)}` was not ready within {_BUILD_LIMIT:.0f} s") from error
    if done.returncode:
        raise InputError(f"{folder}: `{' '.join(command)}` failed: {done.stderr.strip()}")
    return _Text(f"{folder} (kustomize)", done.stdout, named=True)
