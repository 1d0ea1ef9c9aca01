"""``chaosctl lab``: the embedded staging mesh on this machine. Data on stdout, everything else on stderr."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from chaos.errors import InputError
from chaos.lab import commands, needed
from chaos.lab.wanted import Wanted
from chaos.values.quantities import parse_duration

app = typer.Typer(
    help="The embedded staging mesh on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
Name = Annotated[str, typer.Option("--name", help="which lab, where several run side by side")]


_NO_ENTRY: Final = (
    "none, since no manifest has a Gateway for istio=ingressgateway: load gets in by that and a VirtualService"
)
_NONE: Final = "none, since none has the label env=staging in its manifest"


@app.command()
def up(
    name: Name = "default",
    attached: Annotated[bool, typer.Option("--attached", help="end with the process that started it")] = False,
    manifests: Annotated[
        list[Path] | None, typer.Option(help="Kubernetes and Istio YAML to load instead of the shop; several times")
    ] = None,
    behaviours: Annotated[
        Path | None, typer.Option(help="which processes or stand-ins answer for these manifests, and how")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="leave objects of this kind out; several times")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="refuse what would be set aside")] = False,
    as_json: Json = False,
) -> None:
    """Start the lab; returns when all is ready."""
    wanted = Wanted(manifests or (), behaviours, without or (), strict)
    state = commands.up(name, attached=attached, wanted=wanted, told=_say)
    if as_json:
        _give(state.public())
    else:
        entry = f"curl {state.entry}{'' if manifests else '/orders/42'}" if state.entry else _NO_ENTRY
        _give(
            f"the lab {name!r} is up (process {state.pid})\n"
            f"  kubectl:     kubectl --kubeconfig {state.kubeconfig} --context {state.context} get pods\n"
            + f"  entry:       {entry}\n"
            f"  namespaces:  {', '.join(state.namespaces)}; experiments may touch {', '.join(state.staging) or _NONE}\n"
            f"  prometheus:  {state.prometheus}\n"
            f"  stop it:     chaosctl lab down" + ("" if name == "default" else f" --name {name}")
        )


@app.command()
def down(name: Name = "default", as_json: Json = False) -> None:
    """Stop the lab and everything that it started."""
    was_up = commands.down(name)
    if as_json:
        _give({"name": name, "was_running": was_up})
    _say(f"the lab {name!r} is down" if was_up else f"no lab {name!r} was running")


@app.command()
def status(name: Name = "default", as_json: Json = False) -> None:
    """Show the lab's parts: what is alive, what died and why."""
    found = commands.status(name)
    if as_json:
        parts = [asdict(part) for part in found.parts]
        api = found.state.api if found.state is not None else None
        _give({"name": found.name, "running": found.running, "detail": found.detail, "api": api, "parts": parts})
    else:
        mebibytes = f", {found.memory.resident / 2**20:.0f} MiB resident" if found.running else ""
        _give(f"lab {found.name!r}: {found.detail}{mebibytes}")
        for part in found.parts:
            _give(f"  {'running' if part.alive else 'FAILED '}  {part.name}  {part.detail}".rstrip())
    if not found.healthy:
        raise typer.Exit(1)


@app.command()
def shop(
    context: typer.Context,
    image: Annotated[
        str, typer.Option(help="what the Containerfile's target stand-in builds, as your cluster pulls it")
    ],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="where the shop is put")] = "staging",
) -> None:
    """Print the lab's demo shop for a real cluster with Istio, to try experiments there."""
    needed.require_packages()
    from chaos.lab.shop_elsewhere import shop as shop_of
    from chaos.values.documents import as_documents

    _give(as_documents(shop_of(namespace, image=image, labels=context.obj())))


@app.command("control-plane")
def control_plane(
    name: Name = "default",
    delay: Annotated[str | None, typer.Option(help="how long every push waits, e.g. 3s; 0s ends it")] = None,
    down: Annotated[bool, typer.Option("--down", help="push nothing from now on")] = False,
    up: Annotated[bool, typer.Option("--up", help="push again")] = False,
    rotate: Annotated[bool, typer.Option("--rotate-certificates", help="renew every workload's certificate")] = False,
    as_json: Json = False,
) -> None:
    """Slow down or stop the distribution of configuration, as when istiod is ill; renew certificates."""
    if (delay is not None) + down + up + rotate != 1:
        raise InputError("expected exactly one of --delay, --down, --up and --rotate-certificates")
    if delay is not None:
        found = commands.control_plane(name, delay=_seconds(delay))
    elif rotate:
        found = commands.control_plane(name, rotate=True)
    else:
        found = commands.control_plane(name, power="up" if up else "down")
    if as_json:
        _give(found)
    _say("done")


def _seconds(delay: str) -> float:
    try:
        return parse_duration(delay).total_seconds()
    except ValueError as error:
        raise InputError(f"--delay {delay!r}: {error}") from error


def _give(data: Any) -> None:
    """Data, on stdout."""
    typer.echo(data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False))


def _say(text: str) -> None:
    """Words for people, on stderr."""
    typer.echo(text, err=True)
