"""A file that uses a template: it becomes an ordinary experiment before anything else looks at it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chaos.errors import InputError
from chaos.library import TEMPLATES
from chaos.library.template import Document, Template
from chaos.model.experiment import Experiment

USES: Final = "uses"
WITH: Final = "with"
PARTLY: Final = ("target", "load", "observe", "recovery", "limits")
"""Mappings of which a file may declare some keys beside ``uses``; the template says the others."""
GIVEN: Final = ("namespace", "service", "callers")
"""What the template's parameters say of the target."""


class Misuse(InputError):
    """A file uses a template in a way that does not work: ``what`` is wrong, and ``where`` in it, as keys."""

    def __init__(self, where: tuple[str, ...], message: str, hint: str) -> None:
        self.where, self.what = where, message
        super().__init__(f"{'.'.join(where)}: {message}", hint=hint)


def misuses(document: Mapping[str, Any]) -> Iterator[Misuse]:
    """What is wrong in how a file uses a template, but for the values of the parameters, which the template itself looks at."""
    given = document.get(WITH) or {}
    template = None
    if USES in document:
        try:
            template = template_of(document[USES])
        except Misuse as error:
            yield error
    elif not misspelt(document, USES):
        yield Misuse((WITH,), f"goes with `{USES}`", f"name the template beside it, such as {USES}: {TEMPLATES[0].key}")
    if not isinstance(given, Mapping):
        yield Misuse(
            (WITH,),
            "expected a mapping, from names of parameters to values",
            f"such as {WITH}: {{service: inventory-svc}}",
        )
    if "faults" in document:
        yield Misuse(
            ("faults",),
            f"the faults are those of {template.key if template is not None else 'the template'}",
            f"for others, write an experiment without `{USES}`; `chaosctl library show {template.key if template is not None else 'NAME'} --with …` prints one to begin with",
        )
    target = document.get("target")
    for key in GIVEN:
        if isinstance(target, Mapping) and key in target:
            yield Misuse(("target", key), "is a parameter of the template", f"write it as {WITH}.{key}")
    if template is not None and isinstance(given, Mapping) and not misspelt(document, WITH):
        yield from _load_of(document, given, template)


def misspelt(document: Mapping[str, Any], key: str) -> bool:
    """Whether a file has another key in place of this one that is nearly the same."""
    return key not in document and bool(difflib.get_close_matches(key, document))


def template_of(name: object) -> type[Template]:
    """The template of a name.

    Raises:
        Misuse: there is none.
    """
    known = {template.key: template for template in TEMPLATES}
    if isinstance(name, str) and name in known:
        return known[name]
    every = f"one of {', '.join(known)}; `chaosctl library` says what each asks"
    if name is None:
        raise Misuse((USES,), "is empty, expected the name of a template", every)
    if isinstance(name, Mapping | list):
        found = "a list" if isinstance(name, list) else "a mapping"
        raise Misuse(
            (USES,),
            f"expected the name of one template, found {found}",
            f"such as {USES}: {TEMPLATES[0].key}; for several templates, write a file for each",
        )
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected {every}"
    raise Misuse((USES,), f"{name!r}: there is no such template in the library", hint)


def templates_with(parameter: str) -> Sequence[str]:
    """The templates that have a parameter."""
    return [one.key for one in TEMPLATES if any(field.alias == parameter for field in one.model_fields.values())]


def expanded(document: Mapping[str, Any], template: Template) -> Document:
    """The experiment of a file that uses a template: what the file declares itself comes first, and expectations come beside.

    What ``misuses`` finds in the file is left out.
    """
    made = template.document()
    own = {key: value for key, value in document.items() if key not in (USES, WITH, "faults")}
    if isinstance(own.get("target"), Mapping):
        own["target"] = {key: value for key, value in own["target"].items() if key not in GIVEN}
    for key in PARTLY:
        if isinstance(own.get(key), Mapping):
            own[key] = {**made.get(key, {}), **own[key]}
    if isinstance(own.get("steadyState"), list):
        own["steadyState"] = [*own["steadyState"], *made["steadyState"]]
    return {**made, **own}


def experiment_of(kind: type[Template], given: Mapping[str, Any], *, name: str | None = None) -> Document:
    """The experiment that a template makes of its parameters, in full, in the form of a file.

    Args:
        kind: The template.
        given: Its parameters, in the form of a file.
        name: The experiment's; by default made of the service's and the template's.

    Raises:
        Misuse: the parameters don't say what the load asks for.
        ValidationError: a parameter or the name can't be used.
    """
    made = kind.model_validate(given)
    named = {"experiment": name or f"{made.service}-{kind.key}"}
    for misuse in misuses({**named, USES: kind.key, WITH: given}):
        raise misuse
    document = {**named, **expanded(named, made)}
    Experiment.model_validate(document)
    return document


def own_part(document: Mapping[str, Any]) -> Document:
    """The experiment of a file whose use of a template is wrong, with parameters that are none of its own, to look at the rest."""
    asks = _asks(document.get("load"))
    return expanded(document, TEMPLATES[0].model_validate({"service": "any", "path": None if asks else "/"}))


def _load_of(document: Mapping[str, Any], given: Mapping[str, Any], template: type[Template]) -> Iterator[Misuse]:
    """Whether not either the path or the load that a file declares says what is asked for."""
    asks = _asks(document.get("load"))
    if asks and given.get("path") is not None:
        yield Misuse(
            (WITH, "path"),
            f"load.{asks} is declared too, and says what is asked for as well",
            f"remove {WITH}.path, or load.{asks}",
        )
    if (
        not asks
        and given.get("path") is None
        and given.keys() <= {field.alias for field in template.model_fields.values()}
    ):
        yield Misuse(
            (WITH, "path"),
            "is missing",
            "what the load asks for at the mesh's entry; or declare load.requests or load.locustfile",
        )


def _asks(load: object) -> str | None:
    """The key by which a load says what is asked for."""
    if not isinstance(load, Mapping):
        return None
    return next((key for key in ("requests", "locustfile") if load.get(key)), None)
