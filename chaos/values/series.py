"""Recorded samples of metrics."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from chaos.values.questions import Question


class Fact(BaseModel):
    """Base of recorded data."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Series(Fact):
    """Raw samples of one series: ``(time, value)`` as they were scraped, in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class Recorded(Fact):
    """One question and all samples that it gave.

    Args:
        query: The question as it was sent, in the language of the metrics' back end; for people.
    """

    question: Question
    query: str
    series: tuple[Series, ...] = ()
