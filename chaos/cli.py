"""``chaosctl``: the thin command beside pytest. Data on stdout, everything else on stderr.

Exit codes: 0 passed, 1 failed, 2 wrong input, 3 inconclusive, 4 refused. Heavy imports happen inside the commands.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chaos import cli_safety
from chaos.errors import HarnessError, InputError
from chaos.lint.command import lint
from chaos.version import __version__

if TYPE_CHECKING:
    from chaos.model.experiment import Experiment
    from chaos.wiring import Place

app = typer.Typer(
    help="Chaos experiments for services on an Istio mesh.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli_safety.add_to(app)
app.command()(lint)

Files = Annotated[list[Path], typer.Argument(help="experiment files, or folders of them", show_default=False)]
Context = Annotated[str | None, typer.Option(help="context of the kubeconfig; without it everything runs on the lab")]
Prometheus = Annotated[str | None, typer.Option(help="address of the Prometheus that scrapes the mesh")]
Entry = Annotated[str | None, typer.Option(help="where the load is sent to: the mesh's ingress")]
Kubeconfig = Annotated[str | None, typer.Option(help="path of the kubeconfig; the usual places where absent")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]


def main() -> None:
    """Entry point: runs a command; a user's mistake is a message, never a traceback."""
    try:
        app()
    except HarnessError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)


def say(text: str) -> None:
    """Words for people, on stderr."""
    typer.echo(text, err=True)


def give(data: Any) -> None:
    """Data, on stdout."""
    typer.echo(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:  # noqa: FBT002
    if version:
        give(__version__)
        raise typer.Exit


@app.command()
def validate(files: Files) -> None:
    """Check experiment files; every problem of every file at once."""
    from chaos.adapters.experiment_file import DocumentError

    broken = 0
    for file in experiment_files(files):
        try:
            read_experiment(file)
        except DocumentError as error:
            broken += 1
            say(str(error))
        else:
            give(f"{file}: ok")
    if broken:
        raise typer.Exit(2)


@app.command()
def schema() -> None:
    """Print the JSON Schema of an experiment file, for editors."""
    from chaos.model.experiment import Experiment

    document = Experiment.model_json_schema(by_alias=True)
    give({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "experiment", **document})


@app.command()
def config(as_json: Json = False) -> None:  # noqa: FBT002
    """Show the settings that hold here, and where each comes from. Options of a command go before all of them."""
    from chaos.adapters.settings_file import read_sourced

    found = read_sourced(Path.cwd())
    values = found.settings.model_dump(mode="json")
    if as_json:
        give({name: {"value": value, "source": found.sources[name]} for name, value in values.items()})
    else:
        width = max(map(len, values))
        give(
            "\n".join(f"{name:{width}}  {json.dumps(value)}  ({found.sources[name]})" for name, value in values.items())
        )
    if not found.settings.namespaces:
        say("no namespace is allowed: without --context everything runs on the lab, and no cluster is touched")


@app.command()
def plan(
    files: Files,
    context: Context = None,
    prometheus: Prometheus = None,
    entry: Entry = None,
    kubeconfig: Kubeconfig = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Show what a run would write, as a diff, with its strategy, callers and warnings. Writes nothing."""
    from chaos.reporting.console import show
    from chaos.reporting.plan_text import plan_text
    from chaos.wiring import plan_experiment

    plans = []
    chosen = [(file, *read_experiment(file)) for file in experiment_files(files)]
    with place_of(context, prometheus, entry, kubeconfig) as place:
        for file, experiment, declared in chosen:
            plans.append(plan_experiment(experiment, place=place, file=file, declared=declared))
    if as_json:
        give([made.model_dump(mode="json", by_alias=True) for made in plans])
    else:
        show("\n\n".join(plan_text(made) for made in plans))
    if any(not made.allowed for made in plans):
        raise typer.Exit(4)


@app.command()
def run(
    files: Files,
    context: Context = None,
    prometheus: Prometheus = None,
    entry: Entry = None,
    kubeconfig: Kubeconfig = None,
    report_dir: Annotated[Path, typer.Option(help="where records, pictures and results go")] = Path("reports"),
    wait: Annotated[
        str, typer.Option(help="how long to wait for a target that another run holds, e.g. 10m; 0s refuses at once")
    ] = "0s",
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Run experiments, one after the other; without --context on the lab."""
    from chaos.engine.listeners import Listeners
    from chaos.model.verdict import worst
    from chaos.reporting.listeners import listeners
    from chaos.reporting.table import row_of, write_table
    from chaos.reporting.terminal import Terminal
    from chaos.wiring import run_experiment

    chosen = [(file, *read_experiment(file)) for file in experiment_files(files)]
    patience = seconds_of("--wait", wait)
    done = []
    with place_of(context, prometheus, entry, kubeconfig) as place:
        for file, experiment, declared in chosen:
            terminal = Terminal()
            done.append(
                run_experiment(
                    experiment,
                    place=place,
                    listeners=Listeners([terminal, *listeners(terminal.say)], say=terminal.say),
                    report_dir=report_dir,
                    file=file,
                    declared=declared,
                    patience=patience,
                )
            )
    say("")
    write_table([row_of(finished.verdict) for finished in done], sys.stderr)
    for finished in done:
        if finished.folder is not None:
            say(f"record    {finished.folder}")
    if as_json:
        give([finished.verdict.model_dump(mode="json") for finished in done])
    raise typer.Exit(worst(finished.verdict.outcome for finished in done).exit_code)


@app.command()
def judge(
    records: Annotated[list[Path], typer.Argument(help="record.json files, or folders of a run")],
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Judge recorded runs again, offline."""
    from chaos.judge import judge as judge_history
    from chaos.model.verdict import worst
    from chaos.reporting.console import show
    from chaos.reporting.prose import verdict_text
    from chaos.reporting.record import read_record

    verdicts = [judge_history(read_record(path)) for path in records]
    if as_json:
        give([verdict.model_dump(mode="json") for verdict in verdicts])
    else:
        show("\n\n".join(verdict_text(verdict) for verdict in verdicts))
    raise typer.Exit(worst(verdict.outcome for verdict in verdicts).exit_code)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def lab(context: typer.Context) -> None:
    """The embedded staging mesh on this machine."""
    from chaos.adapters.embedded_lab import find_lab
    from chaos.adapters.settings_file import read_settings

    find_lab().command(context.args, staging_labels=lambda: read_settings(Path.cwd()).labels)


# --- shared by the commands ----------------------------------------------------------------------------------------


def seconds_of(option: str, text: str) -> float:
    """An option's duration.

    Raises:
        InputError: it is none.
    """
    from chaos.values.quantities import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise InputError(f"{option} {text!r}: {error}") from error


def experiment_files(paths: list[Path]) -> list[Path]:
    """The files that are named, and those right in the folders that are named."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml"))
            if not inside:
                raise InputError(f"{path}: expected experiment files (*.yaml) in this folder, found none")
            found += inside
        else:
            found.append(path)
    return found


def read_experiment(file: Path) -> tuple[Experiment, str]:
    """An experiment and its text."""
    from chaos.adapters.experiment_file import parse_experiment

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{file}: expected an experiment file that can be read: {reason}") from error
    return parse_experiment(text, file=str(file)), text


@contextmanager
def place_of(context: str | None, prometheus: str | None, entry: str | None, kubeconfig: str | None) -> Iterator[Place]:
    """The named cluster; the lab where nothing is named."""
    from chaos.wiring import connect

    if context:
        yield connect(context=context, prometheus=prometheus, entry=entry, kubeconfig=kubeconfig)
        return
    nothing_else_named(prometheus=prometheus, entry=entry, kubeconfig=kubeconfig)
    from chaos.adapters.embedded_lab import lab_in_use

    with lab_in_use() as mesh:
        yield connect(
            context=mesh.context,
            prometheus=mesh.prometheus,
            entry=mesh.entry,
            kubeconfig=mesh.kubeconfig,
            lab=mesh.staging,
        )


def nothing_else_named(**options: str | None) -> None:
    """Refuses options that only make sense with a context.

    Raises:
        InputError: one was given.
    """
    named = [f"--{name}" for name, value in options.items() if value]
    if named:
        raise InputError(
            f"{', '.join(named)} without --context: a cluster is touched only if its context is named",
            hint="add --context NAME, or leave all of them out to use the lab",
        )
