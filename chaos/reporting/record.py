"""The record of a run: everything that was noted, enough to judge it again, and the verdict that it was given."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from chaos.errors import InputError
from chaos.model.history import FORMAT, History
from chaos.model.judged import Judged
from chaos.model.shift import Shift
from chaos.model.verdict import Verdict
from chaos.reporting.earlier import upgraded
from chaos.reporting.judged import summed_up
from chaos.reporting.plan_text import plan_text
from chaos.reporting.prose import verdict_text
from chaos.values.declared import RECORDED, told

RECORD: Final = "record.json"
SHIFT: Final = "shift.json"
_JUDGED: Final = "judged"
"""The key of the verdict, beside the facts."""
_FACTS: Final = "history"
_DIGEST: Final = "digest"
"""In the record of a shift, the keys of what it rests on, and of the digest of all else."""


@dataclass(frozen=True)
class Record:
    """A record as it was read.

    Args:
        history: The facts.
        judged: The verdict that they were given; ``None`` in records of earlier formats, or where somebody took it out.
        changed: Whether the facts are others than those that were judged; ``None`` where there is no verdict.
    """

    history: History
    judged: Judged | None
    changed: bool | None


LOAD_LOG: Final = "load.log"
"""What the load generator wrote for people, in the run's folder."""


def run_folder(report_dir: Path, run: str) -> Path:
    """Where a run leaves its record and pictures."""
    return report_dir / "runs" / run


def write_record(history: History, verdict: Verdict, report_dir: Path) -> Path:
    """Writes record, plan and verdict; the folder.

    Raises:
        OSError: the folder can't be written.
    """
    folder = run_folder(report_dir, history.run)
    folder.mkdir(parents=True, exist_ok=True)
    facts = _loaded(history.model_dump_json(by_alias=True))
    judged = summed_up(verdict, digest=_digest(facts)).model_dump(mode="json")
    write_atomically(folder / RECORD, json.dumps({**facts, _JUDGED: judged}, separators=(",", ":")))
    write_atomically(folder / "plan.txt", plan_text(history.plan) + "\n")
    write_atomically(folder / "verdict.txt", verdict_text(verdict) + "\n")
    return folder


def write_atomically(path: Path, text: str) -> None:
    """Writes the whole file or none of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)  # noqa: PTH101 - the name is a string here
        os.replace(name, path)  # noqa: PTH105 - likewise
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_shift(shift: Shift, history: History, folder: Path) -> None:
    """Writes what a shift decided, and all that it rests on.

    Raises:
        OSError: the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = {**_loaded(shift.model_dump_json()), _FACTS: _loaded(history.model_dump_json(by_alias=True))}
    write_atomically(folder / SHIFT, json.dumps({**facts, _DIGEST: _digest(facts)}, separators=(",", ":")))


def is_shift(path: Path) -> bool:
    """Whether this is the record of a shift, or its folder."""
    return path.name == SHIFT or (path / SHIFT).is_file()


def read_shift(path: Path) -> tuple[Shift, History, bool]:
    """A recorded shift, the facts that it rests on, and whether its record was changed afterwards.

    Args:
        path: A shift.json, or the folder that holds one.

    Raises:
        InputError: it can't be read, or is no record of a shift.
    """
    file = path / SHIFT if path.is_dir() else path
    what = "reports/shifts/<run id>/shift.json is one"
    try:
        document = _loaded(_text(file))
        digest = document.pop(_DIGEST)
        changed = digest != _digest(document)
        history = History.model_validate(document.pop(_FACTS), context=RECORDED)
        return Shift.model_validate(document), history, changed
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: expected a record of a shift; found something else", hint=what) from error


def read_record(path: Path) -> Record:
    """What was recorded of a run.

    Args:
        path: A record.json, or the folder that holds one.

    Raises:
        InputError: it can't be read, or is not a record of this format.
    """
    file = path / RECORD if path.is_dir() else path
    text = _text(file)
    try:
        document = _loaded(text)
        judged = document.pop(_JUDGED, None)
        found = document["format"]
        if found in range(1, FORMAT + 1):
            before = None if judged is None else Judged.model_validate(judged)
            history = History.model_validate(upgraded(document), context=RECORDED)
            return Record(history, before, None if before is None else before.digest != _digest(document))
    except ValidationError as error:
        raise _no_record(file, told(error)[0]) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _no_record(file, "found something else") from None
    raise InputError(
        f"{file}: expected a record of format {FORMAT} or an earlier one, found {found}",
        hint="judge it with the version of the harness that wrote it",
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{file}: expected a record that can be read: {reason}") from error


def _loaded(text: str) -> dict[str, Any]:
    """JSON in which a number is the same however it was written: 1.0 is 1."""

    def number(written: str) -> float:
        value = float(written)
        return int(value) if value.is_integer() else value

    document: dict[str, Any] = json.loads(text, parse_float=number)
    return document


def _digest(facts: Mapping[str, Any]) -> str:
    """Of facts as canonical JSON: neither the order of keys nor spaces count."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return f"sha256:{sha256(canonical.encode()).hexdigest()}"


def _no_record(file: Path, what: str) -> InputError:
    return InputError(f"{file}: expected a record of a run; {what}", hint="reports/runs/<run id>/record.json is one")
