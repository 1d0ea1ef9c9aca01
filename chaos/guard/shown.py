"""Can the mesh show what is expected?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.guard.draft import Draft
from chaos.model.scene import unshown
from chaos.values.remarks import Refusal


def expectations_can_be_shown(draft: Draft) -> Iterator[Refusal]:
    """Nothing is claimed that the mesh surely can't show; what it may not show is a warning."""
    yield from (one for one in unshown(draft.experiment, draft.situation) if isinstance(one, Refusal))
