"""Brings records that older versions wrote into today's form. The only place that knows former formats."""

from __future__ import annotations

from typing import Any


def upgraded(record: Any) -> Any:
    """A record as it would be written today; what is no record of a known format stays as it is."""
    if isinstance(record, dict) and record.get("format") == 1:
        return _from_format_1(record)
    return record


def _from_format_1(record: dict[str, Any]) -> dict[str, Any]:
    """Format 1 had every field of every kind of expectation, and named a question by a key beside the query that was sent.

    Where it ran was told by the context alone: those of labs have always had this name.
    """
    environment = record["environment"]
    environment.setdefault("lab", environment["context"].startswith("chaos-lab"))
    experiment = record["plan"]["experiment"]
    for role in ("steadyState", "guardrails"):
        experiment[role] = [_expectation(one) for one in experiment[role]]
    record["recorded"] = [
        {"question": _question(one), "query": one["query"], "series": one["series"]} for one in record["recorded"]
    ]
    return {**record, "format": 2}


def _expectation(declared: dict[str, Any]) -> dict[str, Any]:
    if declared["promql"] is not None:
        return {"title": declared["title"], "promql": declared["promql"]}
    return {key: value for key, value in declared.items() if value is not None}


def _question(recorded: dict[str, Any]) -> dict[str, Any]:
    what, _, rest = recorded["key"].partition(":")
    if what == "promql":
        return {"kind": "comparison", "promql": recorded["query"]}
    if what == "buckets":
        host, _, bound = rest.rpartition(":")
        return {"kind": "durations", "host": host, "within": float(bound)}
    if what == "durations":
        return {"kind": "durations", "host": rest}
    return {"kind": "requests", "host": rest, "side": "called" if what == "arrivals" else "callers"}
