"""``chaosctl doctor``: looks at a mesh, and writes nothing."""

from __future__ import annotations

import typer

from chaos.commands.shared import Context, Json, Kubeconfig, Namespaces, Prometheus, PrometheusAccess, give, named


def doctor(
    namespace: Namespaces = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    prometheus: Prometheus = None,
    prometheus_access: PrometheusAccess = None,
    as_json: Json = False,
) -> None:
    """Find what is wrong with a mesh, with its usual cause and a hint. Exit code 1 for errors; 3 if something could not be looked at."""
    from chaos.doctor.finding import Level, text
    from chaos.harness.harness import Harness
    from chaos.reporting.console import show

    with Harness.at(named(context, kubeconfig, prometheus, prometheus_access)) as harness:
        found = harness.doctor(namespace)
    if as_json:
        give([one.as_dict() for one in found])
    else:
        show(text(found))
    worst = {one.level for one in found}
    if Level.ERROR in worst:
        raise typer.Exit(1)
    if Level.UNKNOWN in worst:
        raise typer.Exit(3)
