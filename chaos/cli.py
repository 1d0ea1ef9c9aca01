"""``chaosctl``: the thin command beside pytest. Data on stdout, everything else on stderr.

Exit codes: 0 passed, 1 failed, 2 wrong input, 3 inconclusive, 4 refused. Heavy imports happen inside the commands.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaos.commands import safety
from chaos.commands.backup import backup_app
from chaos.commands.doctor import doctor
from chaos.commands.library import library_app
from chaos.commands.shared import Entry, Json, Kubeconfig, Prometheus, PrometheusAccess, give, named, say
from chaos.commands.shift import shift
from chaos.errors import HarnessError, InputError
from chaos.lint.command import lint
from chaos.version import __version__

if TYPE_CHECKING:
    from chaos.adapters.experiment_file import Problem
    from chaos.model.experiment import Experiment


def documentation() -> Path:
    """The folder in which the pages are that messages name as ``docs/…``: the checkout, or where a wheel puts them."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "docs" / "glossary.md").is_file():
        return checkout
    import sysconfig

    return Path(sysconfig.get_path("data"), "share", "doc", "istio-chaos")


app = typer.Typer(
    epilog=f"Pages that messages name as docs/… are in {documentation()}.",
    help="Chaos experiments for services on an Istio mesh.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
safety.add_to(app)
app.add_typer(backup_app, name="backup")
app.command()(doctor)
app.command()(shift)
app.command()(lint)
app.add_typer(library_app, name="library")

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="experiment files, or folders of them", show_default=False)
]
Context = Annotated[
    str | None, typer.Option(metavar="NAME", help="context of the kubeconfig; without it, everything runs on the lab")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="how long to observe: quick (for trying), default or nightly; by default as each experiment declares",
    ),
]


def main() -> None:
    """Entry point: runs a command; a user's mistake is a message, never a traceback."""
    try:
        app()
    except HarnessError as error:
        say(f"error: {error.told(option)}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)


def option(setting: str) -> str:
    """How ``chaosctl`` spells a setting of the harness: ``--report-dir``."""
    return f"--{setting.replace('_', '-')}"


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    if version:
        give(__version__)
        raise typer.Exit


@app.command()
def validate(files: Files, as_json: Json = False) -> None:
    """Check experiment files; every problem of every file at once."""
    from chaos.adapters.experiment_file import DocumentError, check_experiment

    problems: dict[Path, Sequence[Problem]] = {}
    for file in experiment_files(files):
        problems[file] = ()
        try:
            check_experiment(file)
        except DocumentError as error:
            problems[file] = error.problems
            if not as_json:
                say(str(error))
        else:
            if not as_json:
                give(f"{file}: ok")
    if as_json:
        give([{"file": str(file), "problems": [asdict(one) for one in found]} for file, found in problems.items()])
    if any(problems.values()):
        raise typer.Exit(2)


@app.command()
def schema() -> None:
    """Print the JSON Schema of an experiment file, for editors."""
    from chaos.library.schema import file_schema

    give(file_schema())


@app.command()
def init(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="the staging namespace of both")
    ] = "staging",
    service: Annotated[
        str, typer.Option(metavar="NAME", help="the Service that others depend on: calls to it fail or are slow")
    ] = "inventory-svc",
    caller: Annotated[
        str, typer.Option(metavar="NAME", help="the Service that depends on it, and its pods' label app")
    ] = "order-svc",
    path: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="path that the load requests at the mesh's entry, so that the service is called"
        ),
    ] = "/orders/42",
    as_json: Json = False,
) -> None:
    """Begin in a repository: a first experiment, its schema for editors, chaos.toml, services.toml and a nightly workflow.

    What is there already is left as it is. Without options, the experiment is about the lab's shop, and passes there. The workflow is
    for GitHub.
    """
    from chaos.adapters.experiment_file import DocumentError
    from chaos.harness.beginning import begin
    from chaos.manifests.repository import Beginning

    beginning = Beginning(namespace=namespace, service=service, caller=caller, path=path)
    try:
        written = begin(beginning, Path.cwd())
    except DocumentError as error:  # the file is not there yet: what is wrong is an option
        told = (f"{one.path.replace('with.', '--')} {one.message}" for one in error.problems)
        raise InputError("\n".join(told)) from error
    if as_json:
        give([{"file": str(file), "written": is_new} for file, is_new in written.items()])
    else:
        for file, is_new in written.items():
            give(f"{'wrote' if is_new else 'left as it is'}  {os.path.relpath(file)}")
    say(
        "next: pytest experiments/ runs it on the lab (chaosctl lab up starts that, and says what is missing); then "
        "docs/how-to/your-repository.md leads to a cluster"
        if beginning.is_the_shops
        else "next: run it where these services are: docs/how-to/staging-cluster.md leads to a cluster, "
        "docs/how-to/own-services.md to the lab with your manifests"
    )


@app.command()
def config(as_json: Json = False) -> None:
    """Show the settings that hold here, and where each comes from. Options of a command go before all of them."""
    from chaos.adapters.settings_file import read_sourced

    found = read_sourced(Path.cwd())
    values = found.settings.model_dump(mode="json")
    if as_json:
        give({name: {"value": value, "source": found.sources[name]} for name, value in values.items()})
    else:
        width = max(map(len, values))
        for name, value in values.items():
            give(f"{name:{width}}  {json.dumps(value)}  ({found.sources[name]})")
    if not found.settings.namespaces:
        say("no namespace is allowed: without --context everything runs on the lab, and no cluster is touched")


@app.command()
def plan(
    files: Files,
    context: Context = None,
    prometheus: Prometheus = None,
    prometheus_access: PrometheusAccess = None,
    entry: Entry = None,
    kubeconfig: Kubeconfig = None,
    profile: ProfileOption = None,
    as_json: Json = False,
) -> None:
    """Show what a run would write, as a diff, with its strategy, callers and warnings. Writes nothing."""
    from chaos.harness.harness import Harness
    from chaos.model.experiment import profile_of
    from chaos.reporting.console import show
    from chaos.reporting.plan_text import plan_text

    chosen = read_experiments(files)
    options = named(context, kubeconfig, prometheus, prometheus_access, entry)
    with Harness.at(options, profile=profile_of(profile)) as harness:
        plans = [harness.plan(experiment, file=file, declared=text) for file, experiment, text in chosen]
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
    prometheus_access: PrometheusAccess = None,
    entry: Entry = None,
    kubeconfig: Kubeconfig = None,
    report_dir: Annotated[Path, typer.Option(metavar="FOLDER", help="folder for records, pictures and results")] = Path(
        "reports"
    ),
    wait: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="how long to wait for a target that another run holds, e.g. 10m; 0s: refused at once"
        ),
    ] = "0s",
    profile: ProfileOption = None,
    as_json: Json = False,
) -> None:
    """Run experiments, one after the other; without --context on the lab."""
    from chaos.engine.listeners import Listeners
    from chaos.harness.harness import Harness
    from chaos.model.experiment import profile_of
    from chaos.model.verdict import worst
    from chaos.reporting.listeners import listeners
    from chaos.reporting.table import row_of, write_table
    from chaos.reporting.terminal import Terminal

    def hearing() -> Listeners:
        terminal = Terminal()
        return Listeners([terminal, *listeners(terminal.say)], say=terminal.say)

    chosen = read_experiments(files)
    options = named(context, kubeconfig, prometheus, prometheus_access, entry)
    # What somebody's listener or locustfile prints is no data of ours.
    with (
        Harness.at(options, report_dir=report_dir, wait=wait, profile=profile_of(profile)) as harness,
        redirect_stdout(sys.stderr),
    ):
        heard = harness.heard_by(hearing)
        done = [heard.run(experiment, file=file, declared=text) for file, experiment, text in chosen]
    say("")
    write_table([row_of(result.verdict, hints=True) for result in done], sys.stderr)
    for result in done:
        if result.folder is not None:
            say(f"record    {result.folder}")
    if as_json:
        give([result.verdict.model_dump(mode="json", by_alias=True) for result in done])
    raise typer.Exit(worst(result.verdict.outcome for result in done).exit_code)


@app.command()
def judge(
    records: Annotated[
        list[Path],
        typer.Argument(metavar="RECORD", help="record.json or shift.json files, or folders of a run or shift"),
    ],
    what_if: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE=VALUE", help="suppose another value, e.g. atLeast=99.5% or recovery.within=10s"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge recorded runs and shifts again, offline; nothing is written."""
    from chaos.harness.harness import Harness
    from chaos.model.shift import Shift
    from chaos.model.verdict import worst
    from chaos.reporting.console import show
    from chaos.reporting.prose import shift_text, verdict_text
    from chaos.reporting.record import is_shift

    changes = dict(_supposed(text) for text in what_if or ())
    verdicts = [
        Harness.judge_shift(path, what_if=changes) if is_shift(path) else Harness.judge(path, what_if=changes)
        for path in records
    ]
    if as_json:
        give([verdict.model_dump(mode="json", by_alias=True) for verdict in verdicts])
    else:
        show("\n\n".join(shift_text(one) if isinstance(one, Shift) else verdict_text(one) for one in verdicts))
    raise typer.Exit(worst(verdict.outcome for verdict in verdicts).exit_code)


def _supposed(text: str) -> tuple[str, str]:
    place, equals, value = text.partition("=")
    if not (place and equals and value):
        raise InputError(f"--what-if {text!r}: expected a place and a value, such as atLeast=99.5%")
    return place.strip(), value.strip()


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def lab(context: typer.Context) -> None:
    """The embedded staging mesh on this machine."""
    from chaos.adapters.embedded_lab import find_lab
    from chaos.adapters.settings_file import read_settings

    find_lab().command(context.args, staging_labels=lambda: read_settings(Path.cwd()).labels)


# --- shared by the commands ----------------------------------------------------------------------------------------


def experiment_files(paths: list[Path]) -> list[Path]:
    """The files that are named, and the experiments right in the folders that are named.

    Raises:
        InputError: a folder has none.
    """
    from chaos.adapters.experiment_files import declares_experiment

    found: list[Path] = []
    for path in paths:
        inside = sorted(filter(declares_experiment, path.iterdir())) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: expected YAML files with a top-level `experiment:` in this folder, found none")
        found += inside
    return found


def read_experiments(paths: list[Path]) -> list[tuple[Path, Experiment, str]]:
    """The experiments of the files that are named, each with its file and its text.

    Those of a folder are left out that run only if their file is named.

    Raises:
        InputError: a file can't be read or is no experiment, or nothing is left.
    """
    from chaos.adapters.experiment_file import read_experiment

    found = []
    for file in experiment_files(paths):
        experiment, text = read_experiment(file)
        if experiment.only_if_named and file not in paths:
            say(f"{file}: left out, since it runs only if it is named (onlyIfNamed)")
        else:
            found.append((file, experiment, text))
    if not found:
        raise InputError("expected an experiment, and all of these run only if their file is named")
    return found
