"""Kubernetes objects as YAML documents."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

_NO_TEXT_IN_1_1: Final = re.compile(r"(?i:y|n|yes|no|on|off)|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
"""What YAML 1.1, which kubectl reads, takes for something else than text where it is not quoted."""
_FRAIL: Final = re.compile(r"[\r\x85\xa0\u2028\u2029\ufeff]|[ \t](\n|$)")
"""What is lost, or becomes another character, unless it is in double quotes."""


class _Readable(SafeRepresenter):
    """Text of several lines as such, not with its line breaks spelled out; all text so that YAML 1.1 reads it as YAML 1.2 does."""


def _text(representer: SafeRepresenter, value: str) -> ScalarNode:
    quoted = '"' if _FRAIL.search(value) else "'" if _NO_TEXT_IN_1_1.fullmatch(value) else None
    style = quoted or ("|" if "\n" in value else None)
    found: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)
    return found


_Readable.add_representer(str, _text)


def as_documents(objects: Iterable[Mapping[str, Any]]) -> str:
    """One document for each object, in their order, for ``kubectl apply -f -``; the last line has no end yet."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Readable
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    texts = []
    for obj in objects:
        out = io.StringIO()
        yaml.dump(obj, out)
        texts.append(out.getvalue().removesuffix("\n"))
    return "\n---\n".join(texts)
