"""Records of earlier formats, converted to the current one. Only this module knows their form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Document = Mapping[str, Any]


def upgraded(document: Document) -> Document:
    """A record's document in today's form; one that is no record may raise anything that wrong data raise."""
    while step := _STEPS.get(document["format"]):
        document = {**step(document), "format": document["format"] + 1}
    return document


def _from_1(document: Document) -> Document:
    """Events were told in words; every expectation had the fields of every kind; a question was a key beside the query.

    That a place is the lab was to be seen by its context's name.
    """
    place, plan = document["environment"], document["plan"]
    experiment = plan["experiment"]
    roles = {role: [_expectation(one) for one in experiment[role]] for role in ("steadyState", "guardrails")}
    return {
        **document,
        "environment": {"lab": place["context"].startswith("chaos-lab"), **place},
        "plan": {**plan, "experiment": {**experiment, **roles}},
        "recorded": [
            {"question": _question(one), "query": one["query"], "series": one["series"]} for one in document["recorded"]
        ],
        "events": [
            {"kind": "noted", "at": event["at"], "text": f"{event['kind']}: {event['message']}"}
            for event in document.get("events", ())
        ],
    }


def _from_2(document: Document) -> Document:
    """A record had no verdict, a phase ended as soon as it was decided, and a plan had one fault, whose callers were the plan's.

    That a fault was restored was told without its object.
    """
    plan = document["plan"]
    found, experiment = plan.get("injection"), plan["experiment"]
    kept = {key: value for key, value in plan.items() if key not in ("injection", "callers")}
    whose = {"target": experiment["target"], "fault": experiment["faults"][0], "callers": plan.get("callers", ())}
    own = {key: value for key, value in (found or {}).items() if key != "route_names"}
    injections = [{**own, **whose, "route_name": found["route_names"][0]}] if found else []
    place = f"{found['namespace']}/{found['name']}" if found else ""
    times = {"observe": {"atLeast": "0s"}, "recovery": {**experiment["recovery"], "stayGood": "0s"}}
    return {
        **document,
        "plan": {**kept, "experiment": {**experiment, **times}, "injections": injections},
        "events": [
            {**event, "object": place} if event["kind"] == "restored" else event for event in document.get("events", ())
        ],
    }


def _from_3(document: Document) -> Document:
    """A mark told up to when a violation was known that ended the fault; how holding expectations ended a phase was not told."""
    marks = dict(document["marks"])
    at = marks.pop("violated", None)
    if at is None:
        return document
    samples = [
        [sum(time <= at for time, _ in series["samples"]) for series in one["series"]] for one in document["recorded"]
    ]
    load = sum(second["at"] + 1 <= at for second in document["load"])
    decision = {"phase": "fault", "at": at, "samples": samples, "load": load, "led": len(document["led"])}
    return {**document, "marks": marks, "decisions": [decision]}


def _expectation(declared: Document) -> Document:
    if declared["promql"] is not None:
        return {"title": declared["title"], "promql": declared["promql"]}
    return {key: value for key, value in declared.items() if value is not None}


def _question(recorded: Document) -> Document:
    what, _, rest = recorded["key"].partition(":")
    if what == "promql":
        return {"kind": "comparison", "promql": recorded["query"]}
    if what == "buckets":
        host, _, bound = rest.rpartition(":")
        return {"kind": "durations", "host": host, "within": float(bound)}
    if what == "durations":
        return {"kind": "durations", "host": rest}
    return {"kind": "requests", "host": rest, "side": "called" if what == "arrivals" else "callers"}


_STEPS: Final[Mapping[int, Callable[[Document], Document]]] = {1: _from_1, 2: _from_2, 3: _from_3}
