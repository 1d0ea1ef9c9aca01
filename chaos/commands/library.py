"""``chaosctl library``: the ready-made experiments for common questions, and each of them in full."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from chaos.commands.shared import Json, give
from chaos.errors import InputError

if TYPE_CHECKING:
    from chaos.library.template import Template


class _Templates(TyperGroup):
    """Its commands; who names a template in place of one is told which shows it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of a line."""
        from chaos.library import TEMPLATES

        if args[0] in {template.key for template in TEMPLATES}:
            raise InputError(f"{args[0]!r} is a template, and no command", hint=f"chaosctl library show {args[0]}")
        return super().resolve_command(ctx, args)


library_app = typer.Typer(
    cls=_Templates,
    help="Ready-made experiments for common questions. An experiment file names one: `uses: dependency-down`. "
    "Without a command, it lists them: what each asks, what it can and can't show, and its parameters.",
    invoke_without_command=True,
)


@library_app.callback()
def overview(context: typer.Context, as_json: Json = False) -> None:
    """List the templates: what each asks, what it can't show, and its parameters."""
    from chaos.library import TEMPLATES

    context.obj = as_json  # `library --json show NAME` is the same as `library show NAME --json`
    if context.invoked_subcommand is not None:
        return
    if as_json:
        give([_described(template) for template in TEMPLATES])
    else:
        give("\n\n".join(_told(template) for template in TEMPLATES))


@library_app.command()
def show(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="name of a template", show_default=False)],
    given: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=VALUE", help="a parameter, e.g. service=inventory-svc (several times)"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="name of the experiment; by default made from the service's name")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the experiment that a template makes, in full, to read it or to go on from there.

    Without parameters, print which ones the template has, with their meaning and what they are by default.
    """
    from pydantic import ValidationError

    from chaos.library.using import Misuse, experiment_of, template_of
    from chaos.values.declared import told, wrong

    as_json = as_json or context.obj
    try:
        kind = template_of(template)
    except Misuse as error:
        raise InputError(error.what, hint=error.hint) from error
    if not given:
        give(_described(kind) if as_json else _explained(kind))
        return
    parameters = _given(given)
    try:
        document = experiment_of(kind, parameters, name=name)
    except ValidationError as error:
        if name is not None and (of_name := [one for one in error.errors() if one["loc"] == ("experiment",)]):
            raise InputError(f"--name {wrong(of_name[0])}") from None
        raise InputError(f"{kind.key}: {'; '.join(told(error))}", hint=f"its parameters: {_parameters(kind)}") from None
    give(document if as_json else _as_yaml(document))


def _given(texts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in map(_parameter, texts):
        if name in found:
            raise InputError(f"--with {name}=… is given twice", hint="leave one of them out")
        found[name] = value
    return found


def _parameter(text: str) -> tuple[str, Any]:
    from ruamel.yaml import YAML

    from chaos.values.secrets import redacted
    from chaos.values.unreadable import UNREADABLE

    name, equals, value = text.partition("=")
    try:
        read = YAML(typ="safe", pure=True).load(value)
    except UNREADABLE:
        raise InputError(f"--with {redacted(text)!r}: expected a value as it stands in YAML") from None
    if not (name and equals and value):
        raise InputError(
            f"--with {redacted(text)!r}: expected a parameter and its value, such as service=inventory-svc"
        )
    return name, read


def _as_yaml(document: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    out = io.StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.dump(dict(document), out)
    return out.getvalue().rstrip()


def _told(template: type[Template]) -> str:
    from chaos.library.template import WITHOUT_ANSWER

    return "\n".join(
        (
            template.key,
            f"  asks:        {template.asks}",
            f"  can show:    {template.shows}",
            f"  can't show:  {template.hides} {WITHOUT_ANSWER}",
            f"  parameters:  {_parameters(template)}",
        )
    )


def _parameters(template: type[Template]) -> str:
    needed, optional = _named(template)
    return f"{', '.join(needed)}; optional: {', '.join(optional)}"


def _named(template: type[Template]) -> tuple[list[str], list[str]]:
    """The parameters that have to be given, and the others; a file whose load says what it asks for needs no path."""
    names = {str(field.alias): field.is_required() or field.alias == "path" for field in template.model_fields.values()}
    needed, optional = ([name for name, is_needed in names.items() if is_needed is which] for which in (True, False))
    return needed, optional


def _explained(template: type[Template]) -> str:
    """Each parameter with its meaning, and what it is by default."""
    from chaos.library.schema import parameters_schema

    needed, optional = _named(template)
    known = parameters_schema(template)["properties"]
    width = max(map(len, known))

    def line(name: str) -> str:
        default = known[name].get("default")
        shown = f"{default:g}" if isinstance(default, float) else default
        return f"  {name:{width}}  {known[name]['description']}{f' ({shown} by default)' if shown is not None else ''}"

    return "\n".join(
        (f"{template.key}: {template.asks}", "needed:", *map(line, needed), "optional:", *map(line, optional))
    )


def _described(template: type[Template]) -> Mapping[str, Any]:
    fields = template.model_fields.values()
    return {
        "name": template.key, "asks": template.asks, "shows": template.shows, "hides": template.hides,
        "parameters": [
            {"name": field.alias, "required": field.is_required(), "description": field.description} for field in fields
        ],
    }  # fmt: skip
