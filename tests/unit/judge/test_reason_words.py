"""Each reason tells what happened and what to do, as a real verdict has it (``python -m tests.support.every_reason``)."""

from __future__ import annotations

import re

import pytest

from chaos.model.verdict import Outcome, ReasonCode
from tests.support.every_reason import EVERY, reason_of


def test_every_reason_is_among_them() -> None:
    assert set(EVERY) == set(ReasonCode)


@pytest.mark.parametrize("code", ReasonCode)
def test_it_tells_what_happened_and_what_to_do(code: ReasonCode) -> None:
    reason = reason_of(code)
    told = f"{reason.message} {reason.hint or ''}"
    assert len(reason.message.split()) >= 3, "a sentence, or the part of one"
    assert not re.search(r"\bNone\b|\{|\bobject at 0x|\d\.\d{5}", told), told
    if code.outcome is not Outcome.PASSED:
        assert reason.hint is not None
        assert len(reason.hint.split()) >= 5, "what to do, and where"
