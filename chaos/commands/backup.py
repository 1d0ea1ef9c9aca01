"""The commands ``chaosctl backup``: save, diff, restore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaos.commands.shared import Context, Json, Kubeconfig, Namespaces, chosen, give, mesh_there, say
from chaos.errors import InputError

if TYPE_CHECKING:
    from chaos.model.backup import Difference

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="the folder of the backup", show_default=False)]
backup_app = typer.Typer(
    help="Keep Istio's configuration of staging namespaces in a folder for Git.", no_args_is_help=True
)


@backup_app.command()
def save(
    folder: Folder,
    namespace: Namespaces = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Write every object of Istio's configuration to the folder, one file each, and read it back.

    Exit code 1 if the mesh was changed meanwhile, or kinds may not be listed.
    """
    from chaos.adapters.backup_folder import read_backup, write_backup
    from chaos.harness.backing_up import backup_of, compare

    mesh, settings = mesh_there(context, kubeconfig)
    namespaces = chosen(mesh, settings, namespace, all_staging=False)
    backup, found = backup_of(mesh, namespaces)
    changed = write_backup(folder, backup)
    differing, _ = compare(mesh, read_backup(folder), namespaces)
    for kind, why in found.unlisted.items():
        say(f"not saved: {kind}: {why}")
    if as_json:
        files = [str(file) for file in changed]
        give(
            {
                "objects": len(backup.objects),
                "written": files,
                "unlisted": dict(found.unlisted),
                "verified": not differing,
            }
        )
    else:
        give(
            f"{len(backup.objects)} objects of {', '.join(backup.namespaces)}; {len(changed)} files changed in {folder}"
        )
    if differing:
        say(
            f"the backup differs from the mesh, which was changed while it was saved: {_titles(differing)}. Save it again"
        )
    if differing or found.denied:
        raise typer.Exit(1)


@backup_app.command()
def diff(
    folder: Folder,
    namespace: Namespaces = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Show how the mesh differs from the folder, as a restore would change it; 1 if it does."""
    from chaos.adapters.backup_folder import read_backup
    from chaos.harness.backing_up import compare

    backup = read_backup(folder)
    mesh, _ = mesh_there(context, kubeconfig)
    differing, _ = compare(mesh, backup, _of(backup.namespaces, namespace))
    if as_json:
        give([one.as_dict() for one in differing])
    else:
        _show(differing)
    if differing:
        raise typer.Exit(1)


@backup_app.command()
def restore(
    folder: Folder,
    namespace: Namespaces = None,
    prune: Annotated[bool, typer.Option("--prune", help="also remove objects that the backup does not have")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask before it writes")] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Show what differs, ask, and write that, and nothing else; then see that the proxies have it.

    Exit code 1 if something is left, or a proxy can't be asked.
    """
    from chaos.adapters.backup_folder import read_backup
    from chaos.harness import backing_up

    backup = read_backup(folder)
    mesh, settings = mesh_there(context, kubeconfig)
    namespaces = _of(backup.namespaces, namespace)
    staging = backing_up.check_restore(mesh, settings, namespaces)
    if staging.cluster != backup.cluster:
        say("note: the backup is of another cluster, or of one that was set up again since")
    differing, found = backing_up.compare(mesh, backup, namespaces)
    if not as_json:
        _show(differing)
    wanted = [one for one in differing if one.state != "extra" or prune]
    if not wanted:
        if as_json:
            give({"done": [], "left": [], "proxies": []})
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                "expected --yes, since nobody can be asked here", hint="look at the diff first, then add --yes"
            )
        typer.confirm(f"write {len(wanted)} of them?", abort=True, err=True)
    before = backing_up.proxies(mesh, namespaces)
    done, left = backing_up.restore(mesh, staging, backup, found, differing, prune=prune)
    again, _ = backing_up.compare(mesh, backup, namespaces)
    left += [f"{one.title} still differs" for one in again if one.state != "extra" or prune]
    wrong = backing_up.await_proxies(mesh, namespaces, before)
    if as_json:
        give({"done": done, "left": left, "proxies": wrong})
    else:
        give("\n".join(done) or "nothing was restored")
        for one in dict.fromkeys([*left, *wrong]):
            say(f"warning: {one}")
        if not left and not wrong:
            say(f"all is as in the backup, and all {len(before)} proxies are connected and have rejected nothing of it")
    if left or wrong:
        raise typer.Exit(1)


def _of(saved: tuple[str, ...], named: list[str] | None) -> tuple[str, ...]:
    unknown = [one for one in named or () if one not in saved]
    if unknown:
        raise InputError(f"the backup has no namespace {', '.join(unknown)}; it has {', '.join(saved)}")
    return tuple(named) if named else saved


def _titles(differing: list[Difference]) -> str:
    return ", ".join(one.title for one in differing)


def _show(differing: list[Difference]) -> None:
    from chaos.reporting.console import show

    for one in differing:
        said = {
            "extra": "not in the backup (a restore leaves it, and --prune removes it)",
            "missing": "missing",
            "changed": "changed",
        }
        show(f"{one.title}: {said[one.state]}\n{one.text}")
    if not differing:
        give("nothing differs")
