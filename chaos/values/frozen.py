"""Base of plain data: what is planned, recorded, asked and judged."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Data that never change; a key that isn't known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
