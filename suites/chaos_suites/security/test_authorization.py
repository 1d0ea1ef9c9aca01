"""What is not allowed is denied (G10)."""

from __future__ import annotations

import pytest

from chaos.values.secrets import redacted
from chaos_suites.asking import PODS, Entry
from chaos_suites.configuring import Configure
from chaos_suites.services import Services
from chaos_suites.watching import OBEYED, within

pytestmark = pytest.mark.guide("G10")
TIMES = 30


def test_what_is_allowed_passes_and_everything_else_is_denied(
    services: Services, entry: Entry, configured: Configure
) -> None:
    authorization = configured(services.authorization)

    def obeyed() -> bool:
        """Policies come one by one: one that denies all may be there before the one that allows something."""
        denied = [set(entry.ask(one.path, PODS, method=one.method)) == {403} for one in authorization.denied]
        allowed = [403 not in entry.ask(one.path, PODS, method=one.method) for one in authorization.allowed]
        return all((*denied, *allowed))

    within(OBEYED, obeyed)
    for one in authorization.allowed:
        entry.must_answer(one.path, TIMES, method=one.method)
    for one in authorization.denied:
        assert set(entry.ask(one.path, TIMES, method=one.method)) == {403}, f"{one.method} {redacted(one.path)}"
