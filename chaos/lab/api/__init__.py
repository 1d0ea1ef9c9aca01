"""A small Kubernetes API with honest semantics, for the lab."""

from __future__ import annotations

from chaos.lab.api.server import create_app
from chaos.lab.api.store import Store

__all__ = ["Store", "create_app"]
