"""A value that may be a secret and is wrong: it is in no message, and in no traceback of what the message was made of."""

from __future__ import annotations

import ast
import json
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from chaos import Request
from chaos.adapters.experiment_file import read_experiment
from chaos.adapters.settings_file import read_settings
from chaos.commands.library import library_app
from chaos.errors import InputError
from chaos.judge.what_if import supposed
from chaos.library.aborted import DependencyDown
from chaos.model.experiment import Load
from chaos.model.history import History
from chaos.reporting.record import read_record
from chaos.testing.shop import Shop
from chaos_suites.services import read_services
from tests.support.situations import EXPERIMENT

ROOT = Path(__file__).parents[3]
CANARY = "canary-4711"
PATH = f"orders?page=1&access_token={CANARY}"
"""It lacks its first slash."""


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def an_experiment(folder: Path) -> object:
    return read_experiment(written(folder, "x.yaml", EXPERIMENT.replace("/orders/42", f'"{PATH}"')))


def a_template_in_a_file(folder: Path) -> object:
    text = f"experiment: a\nuses: dependency-down\nwith: {{service: inventory-svc, path: '{PATH}'}}\n"
    return read_experiment(written(folder, "x.yaml", text))


def a_template_on_the_command_line(folder: Path) -> object:
    command = typer.main.get_command(library_app)
    return command.main(
        ["show", "dependency-down", "--with", "service=inventory-svc", "--with", f"path='{PATH}'"],
        standalone_mode=False,
    )


def services(folder: Path) -> object:
    return read_services(written(folder, "services.toml", f'[retries]\ncaller = "a"\nservice = "b"\npath = "{PATH}"\n'))


def settings(folder: Path) -> object:
    written(
        folder, "chaos.toml", f'entry = "https://shop.example"\nprometheus = ["http://me:{CANARY}@h?key={CANARY}"]\n'
    )
    return read_settings(folder, {})


def a_variable(folder: Path) -> object:
    return read_settings(folder, {"CHAOS_ENTRY": f"me:{CANARY}@shop.example"})


def a_record(folder: Path) -> object:
    document = json.loads(run(folder).model_dump_json(by_alias=True))
    document["plan"]["experiment"]["owner"] = [CANARY]
    return read_record(written(folder, "record.json", json.dumps(document)))


def a_record_of_something_else(folder: Path) -> object:
    return read_record(written(folder, "record.json", json.dumps({"format": 1, "plan": CANARY, "events": [CANARY]})))


def another_value(folder: Path) -> object:
    return supposed(run(folder), {"atLeast": "much"})


def run(folder: Path) -> History:
    file = written(folder, "x.yaml", EXPERIMENT.replace("/orders/42", f"/login?token={CANARY}"))
    return Shop().harness(report_dir=folder).run(read_experiment(file)[0]).history


READERS: list[Callable[[Path], object]] = [
    an_experiment,
    a_template_in_a_file,
    a_template_on_the_command_line,
    services,
    settings,
    a_variable,
    a_record,
    a_record_of_something_else,
    another_value,
    lambda _: Request(PATH),
    lambda _: Request("/orders", headers={"x": f"{CANARY}\n"}),
    lambda _: Load(requests=[Request("/orders", body=CANARY)], rate=CANARY),  # type: ignore[arg-type]
    lambda _: DependencyDown(service="inventory-svc", path=PATH),
]


@pytest.mark.parametrize("read", READERS, ids=lambda one: one.__name__)
def test_neither_message_nor_traceback_shows_it(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    told = "".join(traceback.format_exception(caught.value))
    assert CANARY not in told.replace(f"rate: '{CANARY}'", ""), "a rate is no secret"


def handlers() -> Iterator[tuple[str, ast.ExceptHandler]]:
    for file in (*(ROOT / "chaos").rglob("*.py"), *(ROOT / "suites").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                yield f"{os.path.relpath(file, ROOT)}:{node.lineno}", node


def test_nothing_is_chained_to_what_quotes_its_input() -> None:
    """Pydantic's errors do, and those of YAML's parsers."""
    quoting = {"ValidationError", "YAMLError", "UNREADABLE"}
    found = [
        (where, one) for where, one in handlers() if quoting.intersection(ast.unparse(one.type or one).split(", "))
    ]
    assert len(found) > 10
    chained = [
        where
        for where, handler in found
        for one in ast.walk(handler)
        if isinstance(one, ast.Raise) and one.exc is not None and not (isinstance(one.cause, ast.Constant))
    ]
    assert chained == []
