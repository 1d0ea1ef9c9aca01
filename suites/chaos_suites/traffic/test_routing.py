"""Requests with a header reach their version, and only that (G6)."""

from __future__ import annotations

import pytest

from chaos import Harness
from chaos_suites.asking import Entry
from chaos_suites.configuring import Configure
from chaos_suites.counting import versions
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G6")
EACH = 100
"""Requests of each kind: if one of twenty went astray, hardly any such test would miss it."""


def test_each_kind_of_request_reaches_its_version_and_no_other(
    harness: Harness, services: Services, entry: Entry, configured: Configure
) -> None:
    routing = configured(services.routing)
    for marked in routing.routes:

        def send(headers: dict[str, str] = marked.headers) -> int:
            entry.must_answer(routing.path, EACH, method=routing.method, headers=headers)
            return EACH

        seen = versions(harness, services.namespace, routing, send)
        assert seen == {marked.version: EACH}, f"requests with {marked.headers or 'no such header'}"
