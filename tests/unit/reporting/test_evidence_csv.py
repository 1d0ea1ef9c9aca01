"""The raw samples in a report are those that were scraped."""

from __future__ import annotations

from chaos.reporting.evidence_csv import query_csv
from chaos.values.questions import Pushes
from chaos.values.series import Recorded, Series


def test_no_digit_of_a_counter_is_lost() -> None:
    series = Series(labels={"type": "cds"}, samples=((10.0, 1234567.0), (11.0, 1234568.0)))
    told = query_csv(Recorded(question=Pushes(), query="pilot_xds_pushes", series=(series,)))
    assert told.splitlines()[-2:] == ["0,10.000,1234567", "0,11.000,1234568"]
