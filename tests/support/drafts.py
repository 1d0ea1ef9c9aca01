"""What the guard is asked about: an injection as it would be written, in a situation."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from chaos.guard import Draft, check
from chaos.injection.strategy import choose
from chaos.model.plan import Injection
from chaos.model.settings import LAB, Settings
from chaos.model.situation import Situation
from tests.support.situations import experiment, situation


def draft(found: Situation | None = None, *, settings: Settings = LAB, **target: Any) -> Draft:
    asked = experiment(**target)
    found = found or situation()
    chosen = choose(asked, found, run="r1", expires=datetime(2026, 1, 1, tzinfo=UTC))
    return Draft(
        experiment=asked,
        situation=found,
        settings=settings,
        injection=chosen if isinstance(chosen, Injection) else None,
    )


def broken(drafted: Draft) -> set[str]:
    return {refusal.rule for refusal in check(drafted)}


def with_spec(**spec: Any) -> Draft:
    """A draft whose object was tampered with, as a bug of ours might."""
    made = draft()
    assert made.injection is not None
    after = copy.deepcopy(dict(made.injection.after))
    after["spec"].update(spec)
    return Draft(
        experiment=made.experiment,
        situation=made.situation,
        settings=made.settings,
        injection=made.injection.model_copy(update={"after": after}),
    )
