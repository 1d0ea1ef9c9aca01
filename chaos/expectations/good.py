"""Which events are good."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from pydantic import Field, model_validator

from chaos.values.declared import Declared
from chaos.values.quantities import Duration

_STATUS: Final = re.compile(r"(<=|<|>=|>|=)?\s*(\d{3})|([1-5])xx")
_SUCCESS: Final = frozenset(map(str, (101, *range(200, 300), 304)))


def is_success(status: str) -> bool:
    """Whether an answer did what was asked, by its status as text: 2xx, 304 or 101. A redirect may lead to a login page."""
    return status in _SUCCESS


class Good(Declared):
    """Which events are good: the status, the duration, or both."""

    status: str | None = Field(
        None,
        pattern=r"^((<=|<|>=|>|=)?\s*\d{3}|[1-5]xx)$",
        description='"<500", "2xx" or "200"; a request without an answer is never good',
    )
    within: Duration | None = Field(
        None,
        description="an answer within this time is good, and without a status, one that is no error (5xx); must be a bucket "
        "bound of the mesh's histogram",
    )

    if TYPE_CHECKING:

        def __init__(self, *, status: str | None = None, within: timedelta | str | None = None) -> None: ...

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.status is None and self.within is None:
            raise ValueError("expected status, within or both")
        return self

    @property
    def milliseconds(self) -> float | None:
        """The bound of ``within``."""
        return None if self.within is None else self.within / timedelta(milliseconds=1)

    def status_is_good(self, code: int) -> bool:
        """Whether an answer of this status is good; code 0 says that there was no answer."""
        if code == 0:
            return False
        if self.status is None:
            return code < 500
        found = _STATUS.fullmatch(self.status)
        assert found is not None  # noqa: S101 - the pattern of the field has seen to it
        if found[3]:
            return code // 100 == int(found[3])
        bound = int(found[2])
        return {
            "<": code < bound, "<=": code <= bound, ">": code > bound, ">=": code >= bound, "=": code == bound,
            None: code == bound,
        }[found[1]]  # fmt: skip

    @property
    def takes_success(self) -> bool:
        """Whether answers that succeed are good; where only others are, that is what somebody declared."""
        return any(self.status_is_good(int(code)) for code in _SUCCESS)

    def __str__(self) -> str:
        parts = [f"with status {self.status}"] if self.status else ["without an error"]
        if self.milliseconds is not None:
            parts.append(f"within {int(self.milliseconds)} ms")
        return " and ".join(parts)
