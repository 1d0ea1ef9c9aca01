"""The script that asks live clusters, tried on the lab's API server over HTTP."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.lab.api.resources import NAMESPACES
from tests.live.questions import CONSENT, main, scenarios, why_not
from tests.support.api_server import ApiServer

PLACE = "/apis/coordination.k8s.io/v1/namespaces/rec/leases"
DATA = Path(
    os.environ.get("KUBERNETES_ANSWERS") or Path(__file__).parents[3] / "shared" / "data" / "kubernetes-answers"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    made = ApiServer(tmp_path)
    made.store.create(NAMESPACES, {"metadata": {"name": "rec", "labels": {"env": "staging", CONSENT: "true"}}})
    yield made
    made.stop()


def asked(server: ApiServer, folder: Path, *options: str) -> int:
    return main([str(folder), "--server", "http://{}:{}".format(*server.address), *options])


def step(method: str, path: str, code: int, answer: Any, body: Any = None) -> dict[str, Any]:
    request = {"method": method, "path": path, "headers": {}} | ({"body": body} if body else {})
    return {"request": request, "answer": {"code": code, "headers": {}, "body": answer}}


def recorded(folder: Path, *steps: dict[str, Any]) -> Path:
    with gzip.open(folder / "conversations.jsonl.gz", "wt") as file:
        file.write(json.dumps({"name": "one", "about": "", "steps": steps}) + "\n")
    return folder


LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}, "spec": {}}
MADE = {**LEASE, "metadata": {"name": "a", "uid": "<uid:1>", "resourceVersion": "<rv:1>"}}


def test_what_the_server_chose_is_sent_back_to_it(server: ApiServer, tmp_path: Path, capsys: Any) -> None:
    held = {**LEASE, "metadata": {"name": "a", "resourceVersion": "<rv:1>"}, "spec": {"holderIdentity": "me"}}
    conflict = {"kind": "Status", "reason": "Conflict"}
    options = {"preconditions": {"uid": "<uid:1>"}}
    told = recorded(
        tmp_path, step("POST", PLACE, 201, MADE, LEASE), step("PUT", f"{PLACE}/a", 200, LEASE, held),
        step("PUT", f"{PLACE}/a", 409, conflict, held), step("DELETE", f"{PLACE}/a", 200, {}, options),
    )  # fmt: skip
    for _ in range(2):
        assert asked(server, told) == 0
    assert "4 of 4 steps agree, in 1 of 1 scenarios" in capsys.readouterr().out


def test_another_status_or_reason_is_told(server: ApiServer, tmp_path: Path, capsys: Any) -> None:
    told = recorded(
        tmp_path,
        step("GET", f"{PLACE}/a", 404, {"kind": "Status", "reason": "Gone"}),
        step("GET", f"{PLACE}/b", 200, {}),
    )
    assert asked(server, told) == 1
    assert "expected (404, 'Gone'), got (404, 'NotFound')" in capsys.readouterr().out
    assert asked(server, told, "--at-least", "0") == 0


def test_what_nobody_made_is_not_asked_for() -> None:
    listed = step("GET", PLACE, 200, {"items": [MADE]})
    assert why_not({"name": "one", "steps": [listed]})
    assert not why_not({"name": "one", "steps": [step("POST", PLACE, 201, MADE, LEASE), listed]})
    assert why_not({"name": "zz-delete-collection-of-namespaces", "steps": []})


def test_a_cluster_that_is_not_there_to_be_thrown_away_is_left_alone(server: ApiServer, tmp_path: Path) -> None:
    server.store.replace(NAMESPACES, None, "rec", {"metadata": {"name": "rec", "labels": {}}})
    with pytest.raises(SystemExit, match="throwaway=true"):
        asked(server, recorded(tmp_path, step("DELETE", PLACE, 200, {})))
    assert {method for method, _ in server.calls} == {"GET"}


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded conversations are not beside this checkout")
def test_most_recorded_scenarios_can_be_asked(server: ApiServer, tmp_path: Path, capsys: Any) -> None:
    whole = scenarios(DATA)
    assert sum(not why_not(one) for one in whole) > len(whole) / 2
    at_once = [one for one in whole if "polled until" not in json.dumps(one)]  # here no controller runs to wait for
    with gzip.open(tmp_path / "conversations.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in at_once)
    assert asked(server, tmp_path, "--at-least", "50") == 0, capsys.readouterr().out
