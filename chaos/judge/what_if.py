"""A record with other bounds than those that were declared: what would the verdict have been?"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any, Final

from pydantic import ValidationError

from chaos.errors import InputError
from chaos.judge.questions import needed
from chaos.model.experiment import Experiment
from chaos.model.history import History
from chaos.values.declared import RECORDED, dotted, path_in, wrong

Path = tuple[int | str, ...]
_ROLES: Final = ("steadyState", "guardrails")
_JUDGED: Final = (*_ROLES, "recovery", "confidence", "limits.removal", "observe", "profile")
"""Parts of an experiment by which the facts are judged; all else decides what happens in a run."""


def supposed(history: History, changes: Mapping[str, object]) -> tuple[History, Mapping[str, str]]:
    """The history of an experiment with other values, and these by their full path.

    Args:
        history: As it was recorded.
        changes: Values by the place that they have in the experiment file: ``recovery.within``, ``steadyState[0].atLeast``. The
            title of an expectation may stand for its place: ``orders are answered.atLeast``. A last name alone means
            where it is declared: all of its places in the steady state, or its only place elsewhere.

    Raises:
        InputError: there is no such place, it can't have the value, or the record has no facts to judge the value by.
    """
    declared = history.plan.experiment.model_dump(mode="json", by_alias=True)
    document, values = deepcopy(declared), {}
    for name, value in changes.items():
        for path in _places(declared, name):
            _at(document, path[:-1])[path[-1]] = value
            values[dotted(path)] = str(value)
    try:
        experiment = Experiment.model_validate(document, context=RECORDED)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = dotted(path_in(document, first["loc"]))
        raise InputError(f"what-if: {place}: {wrong(first)}" if place else f"what-if: {wrong(first)}") from None
    plan = history.plan.model_copy(update={"experiment": experiment})
    asked = {*needed(history.plan), *(recorded.question for recorded in history.recorded)}
    missing = [question for question in needed(plan) if question not in asked]
    if missing:
        raise InputError(
            f"what-if: the record has no {missing[0]}, by which this would be judged",
            hint="declare it in the experiment and run it",
        )
    return history.model_copy(update={"plan": plan}), values


def _places(declared: Mapping[str, Any], name: str) -> list[Path]:
    """Where a name is in an experiment; never nowhere."""
    every = {dotted(path): path for path in _leaves(declared, ()) if _is_judged(path)}
    for path in list(every.values()):
        if path[0] in _ROLES:
            title = declared[str(path[0])][path[1]]["title"]
            every.setdefault(f"{title}.{dotted(path[2:])}", path)
    if name in every:
        return [every[name]]
    found = [path for path in dict.fromkeys(every.values()) if path[-1] == name and path[0] != "guardrails"]
    found = [path for path in found if _at(declared, path) is not None] or found
    if found and (len(found) == 1 or all(path[0] == "steadyState" for path in found)):
        return found
    if found:
        raise InputError(
            f"what-if: {name!r} is in several places, so expected one of them: {', '.join(map(dotted, found))}"
        )
    near = difflib.get_close_matches(name, [*every, *(str(path[-1]) for path in every.values())], n=1)
    raise InputError(
        f"what-if: {name!r}: expected a value by which a record is judged, such as confidence, recovery.within, "
        "steadyState[0].atLeast or the title of an expectation with .atLeast",
        hint=f"did you mean {near[0]!r}?" if near else "values that decide how a run goes on need another run",
    )


def _is_judged(path: Path) -> bool:
    return any(dotted(path[: len(part.split("."))]) == part for part in _JUDGED)


def _leaves(node: Any, path: Path) -> Iterator[Path]:
    """The paths of all plain values."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, value in inside:
        yield from _leaves(value, (*path, step))
    if not isinstance(node, dict | list):
        yield path


def _at(document: Any, path: Path) -> Any:
    return reduce(getitem, path, document)
