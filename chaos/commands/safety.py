"""The commands of ``chaosctl`` that keep a cluster clean: status, sweep, freeze, thaw, manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaos.commands.shared import (
    AllStaging,
    Context,
    Json,
    Kubeconfig,
    Namespaces,
    chosen,
    give,
    mesh_of,
    mesh_there,
    say,
)
from chaos.errors import InputError

if TYPE_CHECKING:
    from chaos.model.settings import Settings

Expired = Annotated[bool, typer.Option("--expired", help="only dead runs, and whatever has expired (the default)")]
Staging = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="a staging namespace (several times); by default those of the settings",
    ),
]
Account = Annotated[str, typer.Option(help="name of the harness's service account")]
AccountHome = Annotated[str, typer.Option(help="namespace of the harness's service account")]

manifests_app = typer.Typer(help="Print what a cluster needs, as YAML for kubectl apply.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (status, sweep, freeze, thaw):
        app.command()(command)
    app.add_typer(manifests_app, name="manifests")


def status(
    namespace: Namespaces = None,
    all_staging: AllStaging = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Show every fault and every change of the harness that is active now, and whether its run is live."""
    from chaos.reporting.console import show
    from chaos.safety.active import active_of_both

    found = mesh_of(context, kubeconfig)
    there = active_of_both(found[0], chosen(*found, namespace, all_staging=all_staging)) if found else []
    if as_json:
        give([one.as_dict() for one in there])
    else:
        show("\n".join(str(one) for one in there) or "no active faults")


def sweep(
    namespace: Namespaces = None,
    all_staging: AllStaging = False,
    expired: Expired = False,
    run_id: Annotated[str | None, typer.Option("--run", metavar="ID", help="only this run, even if it is live")] = None,
    everything: Annotated[bool, typer.Option("--all", help="everything of the harness's, live runs included")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only print what would be done")] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Remove faults that nobody renews any more. Safe at any time, twice, and beside live runs."""
    from chaos.safety.sweep import sweep as sweep_now

    if expired + (run_id is not None) + everything > 1:
        raise InputError("expected at most one of --expired, --run and --all", hint="without any, it is --expired")
    done = []
    if found := mesh_of(context, kubeconfig):
        namespaces = chosen(*found, namespace, all_staging=all_staging)
        done = sweep_now(found[0], namespaces=namespaces, run=run_id, everything=everything, dry_run=dry_run)
    if as_json:
        give([swept.as_dict() for swept in done])
    else:
        give("\n".join(str(swept) for swept in done) or "nothing to sweep")
    if any(swept.trouble for swept in done):
        raise typer.Exit(1)


def freeze(
    namespace: Namespaces = None,
    all_staging: AllStaging = False,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="the reason, which refusals show")
    ] = "frozen by chaosctl freeze",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Stop all experiments: no new injection, and every live run restores within seconds."""
    _switch(context, kubeconfig, namespace, reason, all_staging=all_staging, as_json=as_json)


def thaw(
    namespace: Namespaces = None,
    all_staging: AllStaging = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,
) -> None:
    """Allow experiments again after a freeze."""
    _switch(context, kubeconfig, namespace, None, all_staging=all_staging, as_json=as_json)


def _switch(
    context: str | None,
    kubeconfig: str | None,
    namespace: list[str] | None,
    reason: str | None,
    *,
    all_staging: bool,
    as_json: bool,
) -> None:
    from chaos.safety.freeze import switch

    mesh, settings = mesh_there(context, kubeconfig)
    done = []
    for one in switch(mesh, chosen(mesh, settings, namespace, all_staging=all_staging), reason):
        done.append(one.as_dict())
        if not as_json:
            give(str(one))
    if as_json:
        give(done)


@manifests_app.command()
def janitor(
    image: Annotated[str, typer.Option(help="the image of the Containerfile, by the name that your cluster pulls")],
    namespace: Staging = None,
    home: Annotated[str, typer.Option(help="namespace in which the CronJob runs")] = "chaos-janitor",
    schedule: Annotated[str, typer.Option(help="when it runs, in the form of cron")] = "*/5 * * * *",
) -> None:
    """Print a CronJob that sweeps the staging namespaces, with one least-privilege Role in each."""
    from chaos.manifests.janitor import janitor as objects
    from chaos.values.documents import as_documents

    settings = _settings_for(namespace)
    made = objects(_spelled_out(settings), image=image, home=home, schedule=schedule, changes=settings.changes)
    give(as_documents(made))


@manifests_app.command()
def rbac(
    namespace: Staging = None,
    home: AccountHome = "chaos-harness",
    account: Account = "chaos-harness",
    without_exec: Annotated[
        bool, typer.Option("--without-exec", help="without the right to exec into the callers' proxies")
    ] = False,
    without_freeze: Annotated[
        bool,
        typer.Option(
            "--without-freeze",
            help="without the right to change namespaces, for clusters where only others freeze and thaw",
        ),
    ] = False,
    root: Annotated[str | None, typer.Option(help="the mesh's root namespace; by default that of the settings")] = None,
    revision: Annotated[
        list[str] | None,
        typer.Option(
            help="a revision of the control plane that staging's proxies follow (several times); without it, `default`"
        ),
    ] = None,
) -> None:
    """Print what the harness's identity needs: a Role in each staging namespace, and cluster-wide only reading."""
    from chaos.istio.injection import DEFAULT_REVISION
    from chaos.manifests.rbac import rbac as objects
    from chaos.values.documents import as_documents

    settings = _settings_for(namespace)
    made = objects(
        _spelled_out(settings),
        home=home,
        account=account,
        exec_=not without_exec,
        freeze=not without_freeze,
        root=root or settings.root_namespace,
        revisions=revision or [DEFAULT_REVISION],
        changes=settings.changes,
    )
    give(as_documents(made))


@manifests_app.command()
def admission(
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="a staging namespace or a pattern; by default those of the settings"),
    ] = None,
    home: AccountHome = "chaos-harness",
    account: Account = "chaos-harness",
    kubernetes: Annotated[str, typer.Option(help="the cluster's version")] = "1.30",
    lifetime: Annotated[
        str | None,
        typer.Option(
            help="latest expiry of a fault, counted from its creation; by default the longest fault plus an hour"
        ),
    ] = None,
    default_export: Annotated[
        list[str] | None,
        typer.Option(help="an entry of the mesh's defaultVirtualServiceExportTo; by default Istio's own, *"),
    ] = None,
    warn: Annotated[bool, typer.Option("--warn", help="only warn, to see first what would be denied")] = False,
) -> None:
    """Print the staging rules as a ValidatingAdmissionPolicy with its binding; for older clusters what there is instead."""
    from chaos.istio.exports import PUBLIC
    from chaos.manifests.admission import admission as objects
    from chaos.manifests.admission import offer, without_policies
    from chaos.manifests.rbac import rbac as roles
    from chaos.values.documents import as_documents
    from chaos.values.quantities import duration_of

    settings = _settings_for(namespace)
    offered = offer(kubernetes)
    if not offered.api_version:
        say(without_policies(kubernetes))
        give(as_documents(roles(_spelled_out(settings), home=home, account=account, root=settings.root_namespace)))
        return
    if offered.switch:
        say(
            f"Kubernetes {kubernetes} has admission policies as a beta that is off: start its API server with {offered.switch}"
        )
    longest = None if lifetime is None else duration_of("--lifetime", lifetime)
    made = objects(
        settings, home=home, account=account, api_version=offered.api_version, lifetime=longest,
        default_export=default_export or PUBLIC, warn=warn,
    )  # fmt: skip
    give(as_documents(made))


def _settings_for(named: list[str] | None) -> Settings:
    """The settings that hold here; namespaces that are named take the place of theirs, and are held to the same rules."""
    from pydantic import ValidationError

    from chaos.adapters.settings_file import read_settings
    from chaos.values.declared import told

    settings = read_settings(Path.cwd())
    if not named:
        return settings
    try:
        return type(settings).model_validate({**settings.model_dump(), "namespaces": named})
    except ValidationError as error:
        raise InputError(f"--namespace: {'; '.join(one.partition(': ')[2] for one in told(error))}") from None


def _spelled_out(settings: Settings) -> tuple[str, ...]:
    """The staging namespaces; a Role is for one namespace that has a name, so a pattern can't be taken."""
    if settings.has_patterns or not settings.namespaces:
        raise InputError(
            "expected names of staging namespaces, since each gets a Role of its own, and got "
            + (", ".join(settings.namespaces) or "none"),
            hint="name each with --namespace, such as --namespace staging; a namespace that comes later needs its own Role",
        )
    return settings.namespaces
