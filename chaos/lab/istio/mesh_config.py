"""The mesh's configuration, as far as the lab follows it: the default of a VirtualService's ``exportTo``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from chaos.istio.exports import Object


def mesh_config(config_map: Object | None) -> Mapping[str, Any]:
    """What the ConfigMap ``istio`` of the root namespace says; empty where it is not there or can't be read.

    istiod keeps the last one that it could read; the lab's control plane goes back to the defaults.
    """
    text = ((config_map or {}).get("data") or {}).get("mesh") or "{}"
    try:
        found = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return {}
    return found if isinstance(found, Mapping) else {}


def exported_by_default(virtual_services: Iterable[Object], config: Mapping[str, Any]) -> list[Object]:
    """The VirtualServices with the mesh's default where they have no ``exportTo`` (istiod initVirtualServices)."""
    default = config.get("defaultVirtualServiceExportTo")
    if not default:
        return list(virtual_services)
    return [
        vs
        if (vs.get("spec") or {}).get("exportTo")
        else {**vs, "spec": {**(vs.get("spec") or {}), "exportTo": default}}
        for vs in virtual_services
    ]
