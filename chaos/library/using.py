"""A file that uses a template: it becomes an ordinary experiment before anything else looks at it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from chaos.errors import InputError
from chaos.library import TEMPLATES
from chaos.library.template import Document, Template

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


def used_in(document: Mapping[str, Any]) -> tuple[type[Template], Mapping[str, Any]]:
    """The template that a file uses, and what it gives as parameters.

    Raises:
        Misuse: there is no such template, or these are no parameters.
    """
    if USES not in document:
        raise Misuse((WITH,), f"goes with `{USES}`", f"name the template beside it, such as {USES}: {TEMPLATES[0].key}")
    template, given = template_of(document[USES]), document.get(WITH) or {}
    if not isinstance(given, Mapping):
        raise Misuse(
            (WITH,),
            "expected a mapping, from names of parameters to values",
            f"such as {WITH}: {{service: inventory-svc}}",
        )
    return template, given


def template_of(name: object) -> type[Template]:
    """The template of a name.

    Raises:
        Misuse: there is none.
    """
    known = {template.key: template for template in TEMPLATES}
    if not isinstance(name, str) or name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else f"expected one of {', '.join(known)}; `chaosctl library` says what each asks"
        )
        raise Misuse((USES,), f"{name!r}: there is no such template in the library", hint)
    return known[name]


def expanded(document: Mapping[str, Any], template: Template) -> Document:
    """The experiment of a file that uses a template: what the file declares itself comes first, and expectations come beside.

    Raises:
        Misuse: the file declares what the template says, or not what the template needs.
    """
    made = template.document()
    own = {key: value for key, value in document.items() if key not in (USES, WITH)}
    if "faults" in own:
        raise Misuse(
            ("faults",),
            f"the faults are those of {template.key}",
            f"for others, write an experiment without `{USES}`; `chaosctl library show {template.key} --with …` prints one to begin with",
        )
    target = own.get("target")
    if isinstance(target, Mapping) and (twice := next((key for key in target if key in GIVEN), None)):
        raise Misuse(("target", twice), "is a parameter of the template", f"write it as {WITH}.{twice}")
    for key in PARTLY:
        if isinstance(own.get(key), Mapping):
            own[key] = {**made.get(key, {}), **own[key]}
    _has_a_load(template, document.get("load"))
    if isinstance(own.get("steadyState"), list):
        own["steadyState"] = [*own["steadyState"], *made["steadyState"]]
    return {**made, **own}


def _has_a_load(template: Template, load: object) -> None:
    """Sees that either the path or the load that a file declares says what is asked for.

    Raises:
        Misuse: both do, or none.
    """
    asks = isinstance(load, Mapping) and any(load.get(key) for key in ("requests", "locustfile"))
    if asks and template.path is not None:
        raise Misuse(
            (WITH, "path"),
            "expected either this or a load of the file's own",
            "leave it out where load says what is asked for",
        )
    if not asks and template.path is None:
        raise Misuse(
            (WITH, "path"),
            "is missing",
            "what the load asks for at the mesh's entry; or declare load.requests or load.locustfile",
        )
