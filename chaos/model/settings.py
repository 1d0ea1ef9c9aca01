"""Where the harness may act. Without any configuration: nowhere but on the embedded lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1)]


class Settings(BaseModel):
    """The staging rules' values.

    Args:
        namespaces: Exact names of the namespaces that experiments may touch.
        labels: Labels that such a namespace must carry.
        clusters: UIDs of ``kube-system`` of the clusters that may be touched; any where empty.
        root_namespace: The mesh's root namespace, never touched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespaces: tuple[Name, ...] = ()
    labels: Mapping[str, str] = Field(default_factory=lambda: {"env": "staging"}, min_length=1)
    clusters: tuple[Name, ...] = ()
    root_namespace: Name = "istio-system"


LAB: Final = Settings(namespaces=("staging",))
"""What holds on the embedded lab."""
