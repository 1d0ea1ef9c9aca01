"""What commands of ``chaosctl`` share: their options, what they print, and where they look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chaos.errors import InputError, Setting

if TYPE_CHECKING:
    from chaos.harness.connecting import Options
    from chaos.model.settings import Settings
    from chaos.ports import Mesh

Context = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="context of the kubeconfig, or `in-cluster` for a pod's own; by default the running lab"
    ),
]
Kubeconfig = Annotated[str | None, typer.Option(metavar="PATH", help="path; KUBECONFIG or ~/.kube/config by default")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="only this one (several times); by default those of the settings"
    ),
]
AllStaging = Annotated[
    bool, typer.Option("--all-staging", help="every namespace with the staging label, listed or not")
]
Prometheus = Annotated[str | None, typer.Option(metavar="URL", help="address of the Prometheus that scrapes the mesh")]
PrometheusAccess = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="credentials and TLS for Prometheus, e.g. bearer=env:TOKEN or headers.X-Scope-OrgID=staging",
    ),
]
Entry = Annotated[
    str | None, typer.Option(metavar="URL", help="address at which the load enters the mesh: its ingress")
]


def say(text: str) -> None:
    """Words for people, on stderr."""
    typer.echo(text, err=True)


def give(data: Any) -> None:
    """Data, on stdout."""
    typer.echo(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))


def mesh_of(context: str | None, kubeconfig: str | None) -> tuple[Mesh, Settings] | None:
    """The API of the named cluster or of the lab that runs, and what may be touched there; ``None`` where no lab runs."""
    from chaos.harness.connecting import Options, mesh_that_runs

    found = mesh_that_runs(Options(context=context, kubeconfig=kubeconfig))
    if found is None:
        say("no lab is running and no context is named, so there is nothing to look at")
    return found


def mesh_there(context: str | None, kubeconfig: str | None) -> tuple[Mesh, Settings]:
    """The same, where one has to be there.

    Raises:
        InputError: none is.
    """
    found = mesh_of(context, kubeconfig)
    if found is None:
        raise InputError("expected a cluster or a running lab", hint=f"chaosctl lab up, or give {Setting.CONTEXT}")
    return found


def named(
    context: str | None,
    kubeconfig: str | None,
    prometheus: str | None,
    prometheus_access: list[str] | None,
    entry: str | None = None,
) -> Options:
    """The place that a command line names, with its metrics; without a context the lab.

    Raises:
        InputError: an option for a cluster is there without a context, or one holds a password.
    """
    from chaos.harness.connecting import Options

    return Options.typed(
        context=context,
        kubeconfig=kubeconfig,
        prometheus=prometheus,
        prometheus_access=prometheus_access or (),
        entry=entry,
    )


def chosen(mesh: Mesh, settings: Settings, named: list[str] | None, *, all_staging: bool) -> tuple[str, ...]:
    """The namespaces that a command is for."""
    from chaos.engine import place
    from chaos.guard.draft import missing_labels

    if named and all_staging:
        raise InputError("expected --namespace or --all-staging, got both")
    if all_staging:
        found = mesh.namespaces()
        return tuple(n["metadata"]["name"] for n in found if not missing_labels(n, settings))
    return place.chosen(mesh, settings, named)
