"""Who owns which field: the lab's answers beside those that a real API server gave to the same writes."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.lab.api.resources import NAMESPACES
from tests.support import loopback
from tests.support.api_server import ApiServer

ANSWERS = os.environ.get("KUBERNETES_ANSWERS") or Path(__file__).parents[3] / "shared" / "data" / "kubernetes-answers"
FILE = Path(ANSWERS) / "conversations.jsonl.gz"
ABOUT = ("managed-fields", "ownership", "ssa-two-managers")
REFUSED = (400, 422)
"""Requests that are refused for their form change no owner; that they are refused is not looked at here."""


def recorded() -> list[Any]:
    if not FILE.exists():
        return []
    with gzip.open(FILE, "rt") as lines:
        scenarios = [json.loads(line) for line in lines]
    return [pytest.param(one, id=one["name"]) for one in scenarios if one["name"].startswith(ABOUT)]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[httpx.Client]:
    server = ApiServer(tmp_path)
    server.store.create(NAMESPACES, {"metadata": {"name": "rec"}})
    host, port = server.address
    with loopback.Client(base_url=f"http://{host}:{port}") as client:
        client.headers.clear()
        yield client
    server.stop()


def with_bound(value: Any, bound: dict[str, str]) -> Any:
    """The value with what this server chose in place of what the recorded one chose."""
    text = re.sub(r"<[a-z]+:\d+>", lambda found: bound.get(found[0], found[0]), json.dumps(value))
    return json.loads(text.replace("<time>", "2026-01-02T03:04:05Z"))


def bind(wanted: dict[str, Any], found: dict[str, Any], bound: dict[str, str]) -> None:
    for key in ("uid", "resourceVersion"):
        if key in wanted.get("metadata", {}):
            assert bound.setdefault(wanted["metadata"][key], found["metadata"][key]) == found["metadata"][key], key


def owners(obj: dict[str, Any]) -> list[Any]:
    """The entries, whenever they were written, which decides on their order; but whether they have a time counts."""
    listed = obj["metadata"].get("managedFields") or ()
    timeless = [{**entry, **({"time": ""} if "time" in entry else {})} for entry in listed]
    return sorted(timeless, key=lambda entry: json.dumps(entry, sort_keys=True))


@pytest.mark.skipif(not FILE.exists(), reason=f"the recorded answers are not here: {FILE}")
@pytest.mark.parametrize("scenario", recorded())
def test_owners_and_conflicts_are_those_of_a_real_server(api: httpx.Client, scenario: dict[str, Any]) -> None:
    bound: dict[str, str] = {}
    for number, step in enumerate(scenario["steps"]):
        request, wanted = step["request"], step["answer"]
        if wanted["code"] in REFUSED:
            continue
        answer = api.request(
            request["method"], request["path"], params=request.get("query"), headers=request["headers"],
            content=json.dumps(with_bound(request["body"], bound)) if "body" in request else None,
        )  # fmt: skip
        where = f"step {number}: {request['method']} {step.get('note', '')}"
        assert answer.status_code == wanted["code"], f"{where}: {answer.text}"
        if wanted["code"] == httpx.codes.CONFLICT:
            told = (answer.json()["message"], answer.json()["details"].get("causes"))
            assert told == (wanted["body"]["message"], wanted["body"]["details"].get("causes")), where
        else:
            assert owners(answer.json()) == owners(wanted["body"]), where
            bind(wanted["body"], answer.json(), bound)
