"""Recorded samples of metrics."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.values.frozen import Frozen
from chaos.values.questions import Question


class Series(Frozen):
    """Raw samples of one series: ``(time, value)`` as they were scraped, in the order of time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class Recorded(Frozen):
    """One question and all samples that it gave.

    Args:
        query: The question as it was sent, in the language of the metrics' back end; for people.
    """

    question: Question
    query: str
    series: tuple[Series, ...] = ()
