"""The commands ``chaosctl backup``: save, diff, restore."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chaos.commands.shared import Context, Json, Kubeconfig, Namespaces, give, mesh_there, say
from chaos.errors import InputError

if TYPE_CHECKING:
    from chaos.harness.backing_up import BackupFolder, Compared
    from chaos.model.backup import Difference

_STATES: Final = {
    "extra": "not in the backup (a restore leaves it, and --prune removes it)",
    "missing": "missing",
    "changed": "changed",
}
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
    saved = _kept(folder, context, kubeconfig).save(namespace)
    for kind, why in saved.unlisted.items():
        say(f"not saved: {kind}: {why}")
    if as_json:
        give(
            {
                "objects": saved.objects,
                "written": [str(file) for file in saved.written],
                "unlisted": dict(saved.unlisted),
                "verified": not saved.differing,
            }
        )
    else:
        give(
            f"{saved.objects} objects of {', '.join(saved.namespaces)}; {len(saved.written)} files changed in {folder}"
        )
    if saved.differing:
        titles = ", ".join(one.title for one in saved.differing)
        say(f"the backup differs from the mesh, which was changed while it was saved: {titles}. Save it again")
    if not saved.complete:
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
    differing = _kept(folder, context, kubeconfig).diff(namespace)
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

    def asked(compared: Compared) -> None:
        if not compared.same_cluster:
            say("note: the backup is of another cluster, or of one that was set up again since")
        if not as_json:
            _show(compared.differing)
        if compared.wanted and not yes:
            if not sys.stdin.isatty():
                raise InputError(
                    "expected --yes, since nobody can be asked here", hint="look at the diff first, then add --yes"
                )
            typer.confirm(f"write {len(compared.wanted)} of them?", abort=True, err=True)

    done = _kept(folder, context, kubeconfig).restore(namespace, prune=prune, told=asked)
    if as_json:
        give({"done": done.done, "left": done.left, "proxies": done.proxies})
    elif done.done or done.left:
        give("\n".join(done.done) or "nothing was restored")
        for one in dict.fromkeys([*done.left, *done.proxies]):
            say(f"warning: {one}")
        if done.complete:
            say(f"all is as in the backup, and all {done.asked} proxies are connected and have rejected nothing of it")
    if not done.complete:
        raise typer.Exit(1)


def _kept(folder: Path, context: str | None, kubeconfig: str | None) -> BackupFolder:
    from chaos.harness.backing_up import BackupFolder

    return BackupFolder(folder, *mesh_there(context, kubeconfig))


def _show(differing: Sequence[Difference]) -> None:
    from chaos.reporting.console import show

    for one in differing:
        show(f"{one.title}: {_STATES[one.state]}\n{one.text}")
    if not differing:
        give("nothing differs")
