"""Reads an experiment from YAML text: all problems at once, each with its line, column, value and what was expected."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML

from chaos.adapters.declared_text import without_secret_values
from chaos.adapters.locustfile import wrong_path
from chaos.errors import InputError
from chaos.judge import hopeless
from chaos.library.schema import file_schema, parameters_schema
from chaos.library.using import USES, WITH, Misuse, expanded, misspelt, misuses, own_part, template_of, templates_with
from chaos.model.experiment import Experiment
from chaos.values.declared import SHAPES, WRITTEN, dotted, path_in, wrong
from chaos.values.unreadable import UNREADABLE, fault_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        text = f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"
        return f"{text}\n    hint: {self.hint}" if self.hint else text


class DocumentError(InputError):
    """A file is not an experiment; ``problems`` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def read_experiment(file: Path | str, *, shown: Path | None = None) -> tuple[Experiment, str]:
    """The experiment of a file, and the file's text without what is secret in it.

    Args:
        file: Its path.
        shown: The file's name in messages; by default its path.

    Raises:
        DocumentError: it can't be read, is not YAML, or not an experiment.
    """
    shown = shown or Path(file)
    try:
        text = Path(file).read_text(encoding="utf-8")
    except UNREADABLE as error:
        message = f"expected an experiment file that can be read: {fault_of(error)}"
        raise DocumentError([Problem(file=str(shown), line=1, column=1, path="", message=message)]) from None
    return parse_experiment(text, file=str(shown)), without_secret_values(text)


def check_experiment(file: Path | str) -> None:
    """Sees that a file is an experiment, and one whose run can show something.

    Raises:
        DocumentError: it can't be read, is not YAML, or not an experiment, or no run of it could be green or red by right.
    """
    experiment, _ = read_experiment(file)
    document = _load(Path(file).read_text(encoding="utf-8"), str(file))
    problems = list(_without_locustfile(experiment, Path(file), document))
    for one in hopeless(experiment):
        where = _written(document, path_in(document, one.where) if USES not in document else one.where)
        line, column = _position(document, where)
        problems.append(
            Problem(file=str(file), line=line, column=column, path=dotted(where), message=one.message, hint=one.hint)
        )
    if problems:
        raise DocumentError(_in_order(problems))


def _without_locustfile(experiment: Experiment, file: Path, document: Any) -> Iterator[Problem]:
    declared = experiment.load.locustfile
    if declared is None or (wrong := wrong_path(file.absolute().parent / declared)) is None:
        return
    line, column = _position(document, ("load", "locustfile"))
    yield Problem(
        file=str(file), line=line, column=column, path="load.locustfile", message=f"{declared!r}: {wrong}",
        hint=f"give its path from the folder of the experiment, {file.absolute().parent}",
    )  # fmt: skip


def parse_experiment(text: str, *, file: str = "<experiment>") -> Experiment:
    """The experiment that ``text`` declares.

    Raises:
        DocumentError: it is not YAML, or not an experiment; it has every problem with its place.
    """
    document = _load(text, file)
    plain = _plain(document)
    misused: list[Problem] = []
    if USES in plain or WITH in plain:
        plain, misused = _from_template(plain, document, file)
    try:
        experiment = Experiment.model_validate(plain, context=WRITTEN, by_alias=True, by_name=False)
    except ValidationError as error:
        errors = [item for item in error.errors(include_url=False) if not (misused and _is_of_several(item))]
        found = _problems(errors, document, plain, file, file_schema())
        own = [one for one in found if not (misused and one.path.partition(".")[0] in (USES, WITH))]
        raise DocumentError(_in_order([*misused, *own])) from None  # what pydantic says quotes all values
    if misused:
        raise DocumentError(_in_order(misused))
    return experiment


def _from_template(plain: dict[str, Any], document: Any, file: str) -> tuple[dict[str, Any], list[Problem]]:
    """The experiment of a file that uses a template, and what is wrong in how it does."""
    problems = []
    for wrong_use in misuses(plain):
        line, column = _position(document, wrong_use.where)
        problems.append(Problem(
            file=file, line=line, column=column, path=dotted(wrong_use.where), message=wrong_use.what, hint=wrong_use.hint,
        ))  # fmt: skip
    given = plain.get(WITH) or {}
    try:
        template = template_of(plain.get(USES))
        if isinstance(given, dict) and not misspelt(plain, WITH):
            made = template.model_validate(given, context=WRITTEN, by_alias=True, by_name=False)
            if not problems:
                return expanded(plain, made), []
    except Misuse:
        pass  # it is among the problems
    except ValidationError as error:
        problems += _problems(
            error.errors(include_url=False), document, {WITH: given}, file, parameters_schema(template), below=(WITH,)
        )
    return own_part(plain), problems


def _is_of_several(item: ErrorDetails) -> bool:
    """Whether an error is about values that do not fit together, some of which may be the template's."""
    return item["type"] == "value_error" and isinstance(item["input"], dict | list)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _load(text: str, file: str) -> Any:
    def broken(message: str, *, line: int = 1, column: int = 1, hint: str | None = None) -> DocumentError:
        return DocumentError([Problem(file=file, line=line, column=column, path="", message=message, hint=hint)])

    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    try:
        documents = [document for document in yaml.load_all(io.StringIO(text)) if document is not None]
    except UNREADABLE as error:
        fault = fault_of(error, text)
        # Nothing is chained to it: a traceback would show what the parser quotes.
        raise broken(f"expected YAML: {fault.message}", line=fault.line or 1, column=fault.column or 1) from None
    if not documents:
        raise broken("expected an experiment, and the file is empty", hint="`chaosctl schema` prints its form")
    if len(documents) > 1:
        begin = getattr(documents[1], "lc", None)
        raise broken(
            f"expected one experiment, found {len(documents)} documents",
            line=begin.line + 1 if begin else 1,
            hint="write one file for each experiment",
        )
    if not isinstance(documents[0], dict):
        raise broken(f"expected a mapping with `experiment:`, found {_kind(documents[0])}")
    return documents[0]


_HINTED: Final = frozenset(("extra_forbidden", "greater_than", "literal_error", "missing"))
"""Errors whose hint comes from what the schema says of the key; of a value out of bounds, its meaning may say why."""
_FEW: Final = 2
"""Kinds of expectation that a hint names."""


def _plain(node: Any) -> Any:
    """Plain Python values; ruamel's number and string classes would leak into frozen data."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return None if node is None else str(node)


def _problems(
    errors: Sequence[ErrorDetails], document: Any, plain: Any, file: str, schema: Any, *, below: tuple[str, ...] = ()
) -> list[Problem]:
    """What is wrong with what a file declares: ``plain``, of which a template may have said a part."""
    found = []
    unknown = {item["loc"][:-1] for item in errors if item["type"] == "extra_forbidden"}
    for item in errors:
        if item["type"] == "missing" and item["loc"][:-1] in unknown:
            continue  # it may be what was misspelt
        kind, message = item["type"], _told(item)
        path = path_in(plain, (*below, *item["loc"]))
        key, colon, rest = message.partition(": ")
        if colon and _is_in(
            document, (*path, key)
        ):  # of several values that do not fit together, this one is to be changed
            path, message = (*path, key), rest
        path = path if below else _written(document, path, missing=kind == "missing")
        line, column = _position(document, path)
        hint = _hint(kind, item["loc"], schema)
        if (
            below
            and kind == "extra_forbidden"
            and len(item["loc"]) == 1
            and (of := templates_with(str(item["loc"][0])))
        ):
            hint = f"a parameter of {', '.join(of)}; {hint}"
        found.append(Problem(file=file, line=line, column=column, path=dotted(path), message=message, hint=hint))
    broken = {problem.path for problem in found}
    shadowed = {path for path in broken if any(other != path and other.startswith(path + "[") for other in broken)}
    return _in_order(problem for problem in dict.fromkeys(found) if problem.path not in shadowed)


def _told(item: ErrorDetails) -> str:
    """What is wrong with a value of a file, which has mappings, lists and texts, and no classes."""
    found = item["input"]
    told = "expected a mapping" if item["type"] in ("model_attributes_type", "model_type") else wrong(item)
    if found is None and told.startswith("expected"):
        return f"is empty, {told}"
    return f"{told}, found {_kind(found)}" if item["type"] in SHAPES else told


def _written(document: Any, path: tuple[int | str, ...], *, missing: bool = False) -> tuple[int | str, ...]:
    """Where the user wrote it; in a file that uses a template, what is not there comes from a parameter, or from the template."""
    if not document.keys() & {USES, WITH} or _is_in(document, path[:-1] if missing else path):
        return path
    given = document.get(WITH)
    return (WITH, path[-1]) if path and isinstance(given, dict) and path[-1] in given else (USES,)


def _is_in(node: Any, path: Sequence[int | str]) -> bool:
    for step in path:
        if not (step in node if isinstance(node, dict) else isinstance(node, list) and step in range(len(node))):
            return False
        node = node[step]
    return True


def _position(document: Any, path: Sequence[int | str]) -> tuple[int, int]:
    node, line, column = document, document.lc.line, document.lc.col
    for step in path:
        position = getattr(node, "lc", None)
        data = getattr(position, "data", None) or {}
        if step not in data:
            break
        line, column = data[step][0], data[step][1]
        node = node[step]
    return line + 1, column + 1


def _hint(kind: str, loc: Sequence[int | str], root: Any) -> str | None:
    """What to write instead of a key or word that is not known, or for a key that is missing."""
    if not loc or kind not in _HINTED | SHAPES:
        return None
    if kind in SHAPES:
        keys = _schema_of(loc, root)[0].get("properties")
        return f"known here: {', '.join(sorted(keys))}" if keys else None
    found, others = _schema_of(loc[:-1], root)
    key, known = str(loc[-1]), found.get("properties", {})
    if kind != "extra_forbidden":
        described: str | None = known.get(key, {}).get("description")
        return described
    every = sorted({*known, *(name for other in others for name in other["properties"])})
    near = difflib.get_close_matches(key, every, n=1)
    if near and near[0] != key:
        return f"did you mean {near[0]!r}?"
    elsewhere = [_in_a_sentence(other["description"]) for other in others if key in other["properties"]]
    where = f"this is {_in_a_sentence(found['description'])}; " if others else ""
    where = f"{key!r} goes with {', or '.join(elsewhere)}; " if 0 < len(elsewhere) <= _FEW else where
    return f"{where}known here: {', '.join(sorted(known))}" if known else None


def _in_a_sentence(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".").replace("``", "`")


def _schema_of(loc: Sequence[int | str], root: Any) -> tuple[Any, Sequence[Any]]:
    """The schema of what stands at a place, and those of the other kinds that might stand there."""
    found: Any = root
    others: Sequence[Any] = ()
    for step in loc:
        options = [option["$ref"].rpartition("/")[2] for option in found.get("oneOf", ())]
        if step in options:
            others = [root["$defs"][name] for name in options if name != step]
            found = root["$defs"][step]
            continue
        others = ()
        inside = found.get("properties", {}).get(step, found.get("additionalProperties"))
        found = _resolve((inside if isinstance(step, str) else found.get("items")) or {}, root)
    return found, others


def _resolve(schema: Any, root: Any) -> Any:
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolve(option, root)
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(value: Any) -> str:
    return {"list": "a list", "dict": "a mapping", "str": "text", "int": "a number", "float": "a number"}.get(
        type(value).__mro__[-2].__name__, "something else"
    )
