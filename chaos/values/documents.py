"""Kubernetes objects as YAML documents."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter


class _Readable(SafeRepresenter):
    """Text of several lines as such, not with its line breaks spelled out."""


def _text(representer: SafeRepresenter, value: str) -> ScalarNode:
    style = "|" if "\n" in value else None
    found: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)
    return found


_Readable.add_representer(str, _text)


def as_documents(objects: Iterable[Mapping[str, Any]]) -> str:
    """One document for each object, in their order, for ``kubectl apply -f -``."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Readable
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    texts = []
    for obj in objects:
        out = io.StringIO()
        yaml.dump(obj, out)
        texts.append(out.getvalue().rstrip())
    return "\n---\n".join(texts)
