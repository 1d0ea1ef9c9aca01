"""The kind of fault that the page on adding one makes, and faults of a kind that is not in the list."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import create_model

from chaos.faults.fault import KINDS, Fault
from chaos.faults.kind import Kind

HOW_TO = Path(__file__).parents[2] / "docs/how-to/adding-a-fault.md"


def documented() -> Kind:
    """All requests are sent to a path that the target does not know; it answers with 404."""
    (code,) = re.findall(r"```python\n(.+?)```", HOW_TO.read_text(), re.DOTALL)
    module = ModuleType("documented_misroute")
    sys.modules[module.__name__] = module  # where pydantic looks up what annotations name
    exec(compile(code, str(HOW_TO), "exec"), module.__dict__)  # noqa: S102 - our own page
    kind: Kind = module.Misroute(path="/no-such-path")
    return kind


def fault_of(kind: Kind) -> Fault:
    """A fault of one kind; of one that is not in the list as if it were."""
    if type(kind) in KINDS:
        return Fault.model_validate(kind)
    fields: dict[str, Any] = {kind.key: (type(kind) | None, None)}
    listed: type[Fault] = create_model("Listed", __base__=Fault, **fields)
    made = listed.model_validate(kind)
    assert made.kinds == (kind,)
    return made
