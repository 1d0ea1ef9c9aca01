"""A small Kubernetes API with honest semantics, for the lab.

The way of a request: ``server`` (who asks, ``authorizing``; for what, ``paths``), ``options`` and ``negotiation`` (how),
``bodies`` (with what). A read goes to ``paging`` or ``watching``. A write goes to ``writing``, which has its body checked
(``checking``: ``typed``, ``metadata``, ``kinds``, the validators, ``admission``) and its fields' owners noted
(``ownership``), and then to the ``store``, whose ``garbage`` deletes dependents with their owners.
"""

from __future__ import annotations

from chaos.lab.api.server import create_app
from chaos.lab.api.store import Store

__all__ = ["Store", "create_app"]
