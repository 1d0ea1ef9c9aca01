"""The mesh's configuration, as far as it decides who sees what (istiod ``pkg/config/mesh``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chaos.istio.exports import PUBLIC, Object
from chaos.istio.injection import DEFAULT_REVISION

ROOT_NAMESPACE: Final = "istio-system"
"""Of the mesh, where nothing else is said: what is there holds for every namespace."""


def mesh_config_of(revision: str) -> str:
    """Name of the ConfigMap, in the root namespace, that a revision's control plane is configured by."""
    return "istio" if revision == DEFAULT_REVISION else f"istio-{revision}"


def mesh_config(config_map: Object) -> Mapping[str, Any]:
    """What the ConfigMap says; empty where it says nothing.

    Raises:
        ValueError: It is not YAML, or no mapping; istiod would not start with it.
    """
    from ruamel.yaml import YAML  # only where one is read: this module is imported wherever a fault is planned
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load((config_map.get("data") or {}).get("mesh") or "{}")
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("it is not YAML" + (f", see its line {mark.line + 1}" if mark else "")) from None
    if not isinstance(found, Mapping):
        raise ValueError("expected a mapping")
    return found


def default_export(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What ``exportTo`` is where a VirtualService has none."""
    return tuple(str(entry) for entry in config.get("defaultVirtualServiceExportTo") or PUBLIC)
