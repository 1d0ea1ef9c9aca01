"""One fault of an experiment."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from chaos.faults.abort import Abort
from chaos.faults.delay import Delay
from chaos.values.declared import Declared


class Fault(Declared):
    """One fault: an abort, a delay, or both, which Envoy draws independently of each other."""

    abort: Abort | None = None
    delay: Delay | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.abort is None and self.delay is None:
            raise ValueError("expected abort, delay or both")
        return self
