"""The command ``chaosctl shift``: a canary in steps, each of which has to keep a steady state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaos.commands.shared import Context, Entry, Json, Kubeconfig, Prometheus, PrometheusAccess, give, named, say

Percent = Annotated[float, typer.Option(metavar="NUMBER", help="percentage points that each step adds")]


def shift(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="an experiment file: its load is sent, its steady state has to hold")
    ],
    virtual_service: Annotated[
        str, typer.Option("--virtual-service", metavar="NAME", help="the VirtualService, in the target's namespace")
    ],
    source: Annotated[
        str, typer.Option("--from", metavar="NAME", help="the subset, or the host, that gets the requests now")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="NAME", help="the subset, or the host, that shall get the requests")
    ],
    step: Percent = 10.0,
    every: Annotated[str, typer.Option(metavar="TIME", help="how long each step lasts, e.g. 5m")] = "300s",
    context: Context = None,
    prometheus: Prometheus = None,
    prometheus_access: PrometheusAccess = None,
    entry: Entry = None,
    kubeconfig: Kubeconfig = None,
    report_dir: Annotated[Path, typer.Option(metavar="FOLDER", help="folder for records")] = Path("reports"),
    as_json: Json = False,
) -> None:
    """Shift requests to a canary step by step; it ends at 100 %, or puts the old weights back.

    They are put back at once when the steady state is violated, and when a step stays undecided.
    """
    from chaos.adapters.experiment_file import read_experiment
    from chaos.harness.harness import Harness
    from chaos.harness.shifting import see_steps
    from chaos.injection.weights import Way
    from chaos.values.quantities import duration_of

    lasting = duration_of("--every", every)
    see_steps(Way(source=source, target=target), step, lasting)  # told before a cluster is asked
    experiment, _ = read_experiment(file)
    options = named(context, kubeconfig, prometheus, prometheus_access, entry)
    with Harness.at(options, report_dir=report_dir) as harness:
        found = harness.shift(
            experiment, virtual_service=virtual_service, source=source, target=target, step=step, every=lasting, file=file,
            told=lambda one: say(one.sentence),
        )  # fmt: skip
    if as_json:
        give(found.model_dump(mode="json"))
    else:
        give(found.headline)
    say(f"record    {report_dir / 'shifts' / found.run}")
    raise typer.Exit(found.outcome.exit_code)
