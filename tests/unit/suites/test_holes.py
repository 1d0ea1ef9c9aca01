"""What counts as a hole while a fault is active."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.testing.shop import Shop
from chaos_suites.security import test_under_fault
from chaos_suites.services import Services

SERVICES = Services.model_validate({
    "namespace": "staging",
    "authorization": {"service": "order-svc", "allowed": [{"path": "/orders/42"}], "denied": [{"path": "/closed"}]},
    "identities": {
        "accounts": {"order-svc": "orders", "inventory-svc": "stock"}, "pods": ["inventory-svc"],
        "calls": [["order-svc", "inventory-svc"]], "paths": ["/orders/42"],
    },
})  # fmt: skip


@pytest.mark.parametrize(("status", "hole"), [(0, False), (200, True), (404, True)])
def test_who_gets_no_answer_has_found_no_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, *, hole: bool
) -> None:
    monkeypatch.setattr(test_under_fault, "doors", lambda *_: [])
    monkeypatch.setattr(test_under_fault, "OBEYED", 0.0)
    entry: Any = SimpleNamespace(ask=lambda *_, **__: Counter({403: 9, status: 1}))
    configured: Any = SimpleNamespace(both=lambda *tables: tables)

    def asked() -> None:
        test_under_fault.test_a_fault_opens_no_hole(Shop().harness(report_dir=tmp_path), SERVICES, entry, configured)

    if hole:
        with pytest.raises(AssertionError, match="some requests were not denied"):
            asked()
    else:
        asked()
