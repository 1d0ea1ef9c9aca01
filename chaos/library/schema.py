"""The JSON Schema of an experiment file: one that declares everything, or one that uses a template."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from chaos.library import TEMPLATES
from chaos.library.template import Template
from chaos.library.using import GIVEN, PARTLY, USES, WITH
from chaos.model.schema import schema
from chaos.values.conditions import any_of, given

_SHAPE: Final = ("$schema", "title", "type", "description", "properties", "additionalProperties")
"""Keywords that hold for a mapping whether all of its keys are there or not; all others ask for some of them."""

_LOADED: Final = {"required": ["load"], "properties": {"load": any_of("requests", "locustfile")}}
"""A file that says itself what the load asks for."""


@cache
def file_schema() -> dict[str, Any]:
    """Of both; which of its branches holds is decided by whether ``uses`` is there. Nobody changes it."""
    whole = schema()
    definitions, properties = dict(whole["$defs"]), dict(whole["properties"])
    strict = {key: properties[key] for key in PARTLY}
    for key in PARTLY:
        name = properties[key]["$ref"].rpartition("/")[2]
        definitions[f"{name}InPart"] = {word: value for word, value in definitions[name].items() if word in _SHAPE}
        properties[key] = {**properties[key], "$ref": f"#/$defs/{name}InPart"}
    for template in TEMPLATES:
        declared = template.model_json_schema(by_alias=True)
        definitions |= declared.pop("$defs", {})
        definitions[template.__name__] = declared
    names = [template.key for template in TEMPLATES]
    asks = "\n".join(f"{template.key}: {template.asks}" for template in TEMPLATES)
    return {
        **{key: value for key, value in whole.items() if key in _SHAPE},
        "properties": {
            **properties,
            USES: {
                "enum": names,
                "description": f"a template of the library, which says all that the file does not\n{asks}",
            },
            WITH: {"type": "object", "description": "the parameters of the template"},
        },
        "required": ["experiment"],
        "if": {"required": [USES]},
        "then": {
            "required": [WITH],
            "properties": {"faults": False, "target": {"properties": dict.fromkeys(GIVEN, False)}},
            "oneOf": [{"properties": {WITH: given("path")}}, _LOADED],
            "allOf": [
                {
                    "if": {"properties": {USES: {"const": template.key}}},
                    "then": {"properties": {WITH: {"$ref": f"#/$defs/{template.__name__}"}}},
                }
                for template in TEMPLATES
            ],
        },
        "else": {
            **{key: value for key, value in whole.items() if key not in (*_SHAPE, "$defs")},
            "properties": {**strict, WITH: False},
        },
        "$defs": definitions,
    }


def parameters_schema(template: type[Template]) -> dict[str, Any]:
    """What ``with`` may have beside the name of a template."""
    definitions = file_schema()["$defs"]
    return {**definitions[template.__name__], "$defs": definitions}
