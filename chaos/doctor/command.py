"""``chaosctl doctor``: looks at a mesh, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chaos.commands.safety import Context, Json, Kubeconfig, Namespaces, give
from chaos.errors import InputError

if TYPE_CHECKING:
    from chaos.doctor.finding import Checked
    from chaos.harness.harness import Harness

_SIGNS: Final = {"ok": "ok", "unknown": "?", "warning": "warning", "error": "error"}


def doctor(
    namespace: Namespaces = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Annotated[
        str | None, typer.Option(metavar="URL", help="address of the Prometheus that scrapes the mesh")
    ] = None,
    prometheus_access: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="credentials and TLS for Prometheus, e.g. bearer=env:TOKEN"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what is wrong with a mesh, with its usual cause and a hint. Exit code 1 for errors; 3 if something could not be looked at."""
    from chaos.doctor.finding import Level
    from chaos.harness.connecting import Options
    from chaos.harness.harness import Harness
    from chaos.reporting.console import show

    options = Options.typed(
        context=context, kubeconfig=kubeconfig, prometheus=prometheus, prometheus_access=prometheus_access or ()
    )
    with Harness.at(options) as harness:
        found = look(harness, namespace)
    if as_json:
        give([one.as_dict() for one in found])
    else:
        show(text(found))
    worst = {one.level for one in found}
    if Level.ERROR in worst:
        raise typer.Exit(1)
    if Level.UNKNOWN in worst:
        raise typer.Exit(3)


def look(harness: Harness, namespaces: Sequence[str] | None = None, *, before_suites: bool = False) -> list[Checked]:
    """What all checks find at a harness's place, or those that are quick enough to be asked before every suite.

    Raises:
        InputError: no namespace is named, and the settings allow none.
        MeshError: the API can't be read.
    """
    from chaos.doctor.examined import Examined
    from chaos.doctor.table import CHECKS, examine

    place = harness.place
    names = tuple(namespaces or place.namespaces)
    if not names:
        raise InputError("no namespace is named, and the settings allow none", hint="--namespace NAME")
    checks = [one for one in CHECKS if one.before_suites or not before_suites]
    return examine(Examined(place.mesh, place.metrics, place.settings, names, lab=place.environment.lab), checks)


def text(found: Iterable[Checked]) -> str:
    """For people: every finding, and for what is not well its cause and hint."""
    lines = []
    for one in found:
        for finding in one.findings:
            lines.append(f"{one.check.id}: {_SIGNS[finding.level]}: {finding.message}")
            lines += [f"    cause: {finding.cause}"] * bool(finding.cause)
            lines += [f"    hint: {finding.hint}"] * bool(finding.hint)
    return "\n".join(lines)
