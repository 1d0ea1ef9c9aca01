"""``chaosctl lint``: faults and pitfalls in manifests, before they are applied."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def lint(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH", help="files and folders of YAML or JSON; - for standard input", show_default=False
        ),
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="namespace of objects that have none of their own")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="the format in which findings are printed")] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
) -> None:
    """Find committed faults and Istio's pitfalls in manifests. Exit code 1 if there are findings, 2 if nothing can be read."""
    from chaos.adapters.settings_file import read_settings
    from chaos.lint.reports import FORMATS, summary
    from chaos.lint.repository import lint as lint_paths
    from chaos.reporting.console import show

    report = lint_paths(paths, settings=read_settings(Path.cwd()), namespace=namespace)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    chosen = Format.JSON if as_json else form
    if text := FORMATS[chosen](report):
        show(text) if chosen is Format.TEXT else typer.echo(text)
    typer.echo(summary(report), err=True)
    if report.findings:
        raise typer.Exit(1)
