"""Asks a live cluster what another one was asked in recorded conversations, and compares status and reason.

    python -m tests.live.questions FOLDER --server http://127.0.0.1:8001

``FOLDER`` holds ``conversations.jsonl.gz``: scenarios of requests with their answers, in which values that the server chose
have placeholders (``<uid:1>``, ``<rv:2>``). ``--server`` is a plain address with a cluster administrator's rights, such as
``kubectl proxy`` gives. VirtualServices and Leases of the namespace ``rec`` are deleted between scenarios, and some of these
write elsewhere, so the namespace has to say that the cluster is there to be thrown away.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

NAMESPACE: Final = "rec"
CONSENT: Final = "throwaway"
"""Label of the namespace that allows it all."""
_LEFT_OUT: Final = {"zz-delete-collection-of-namespaces": "a server that allows it loses everything"}
_PLACEHOLDER: Final = re.compile(r"<(?:uid|rv|name|continue|token):[^<>]+>")
_KINDS: Final = ("apis/networking.istio.io/v1", "virtualservices"), ("apis/coordination.k8s.io/v1", "leases")
_POLLS: Final = 60


@dataclass
class Answered:
    """How a scenario went.

    Args:
        steps: How many requests were sent.
        differences: What differed, a line each.
    """

    name: str
    steps: int = 0
    differences: list[str] = field(default_factory=list)


def scenarios(folder: Path) -> list[dict[str, Any]]:
    """The recorded scenarios."""
    with gzip.open(folder / "conversations.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def why_not(scenario: Mapping[str, Any]) -> str:
    """Why a scenario can't be asked; empty where it can."""
    if scenario["name"] in _LEFT_OUT:
        return _LEFT_OUT[scenario["name"]]
    known: set[str] = set()
    for step in scenario["steps"]:
        sent = {
            one for one in _PLACEHOLDER.findall(json.dumps(step["request"])) if one.startswith(("<uid:", "<continue:"))
        }
        shown = {one for one in _PLACEHOLDER.findall(json.dumps(step["answer"])) if one.startswith("<uid:")}
        if sent - known or (step["request"]["method"] != "POST" and _items(step["answer"]) and shown - known):
            return "it needs objects or values that its recording does not make"
        known |= shown | set(_PLACEHOLDER.findall(json.dumps(step["answer"])))
    return ""


def _items(answer: Mapping[str, Any]) -> bool:
    body = answer.get("body")
    return "events" in answer or (isinstance(body, dict) and bool(body.get("items") or body.get("rows")))


class Asker:
    """Plays scenarios.

    Args:
        client: Of the cluster.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._bound: dict[str, str] = {}

    def ask(self, scenario: Mapping[str, Any]) -> Answered:
        """One scenario from a clean namespace; its answers beside the recorded ones."""
        self._clean()
        self._bound = {}
        played = Answered(scenario["name"])
        for number, step in enumerate(scenario["steps"]):
            wanted, answer = step["answer"], self._send(step["request"])
            for _ in range(_POLLS if "polled until" in step.get("note", "") else 0):
                if answer.status_code == wanted["code"]:
                    break
                time.sleep(0.5)  # as the recorder did
                answer = self._send(step["request"])
            played.steps += 1
            body = _body(answer)
            expected, found = (wanted["code"], _reason(wanted.get("body"))), (answer.status_code, _reason(body))
            if expected != found:
                asked = f"{step['request']['method']} {step['request']['path']}"
                played.differences.append(
                    f"{scenario['name']}, step {number}, {asked}: expected {expected}, got {found}"
                )
            self._bind(wanted.get("body"), body)
        return played

    def _clean(self) -> None:
        for group, plural in _KINDS:
            place = f"/{group}/namespaces/{NAMESPACE}/{plural}"
            for item in self._client.get(place).raise_for_status().json()["items"]:
                meta = item["metadata"]
                if meta.get("finalizers"):
                    patch = {"content-type": "application/merge-patch+json"}
                    self._client.patch(
                        f"{place}/{meta['name']}", json={"metadata": {"finalizers": None}}, headers=patch
                    )
                self._client.delete(f"{place}/{meta['name']}")

    def _send(self, request: Mapping[str, Any]) -> httpx.Response:
        self._read_version(request)
        content = json.dumps(request["body"]) if "body" in request else request.get("rawBody")
        query = json.loads(self._filled(json.dumps(request.get("query") or {})))
        try:
            return self._client.request(
                request["method"], self._filled(request["path"]), headers=request.get("headers") or {}, params=query,
                content=None if content is None else self._filled(content).encode(),
            )  # fmt: skip
        except httpx.TransportError as error:
            return httpx.Response(0, text=f"no answer: {error}")

    def _read_version(self, request: Mapping[str, Any]) -> None:
        """What a client reads before a write: the object's version."""
        unknown = {one for one in _PLACEHOLDER.findall(json.dumps(request.get("body"))) if one.startswith("<rv:")}
        unknown -= self._bound.keys()
        found = _body(self._client.get(self._filled(request["path"]))) if unknown else None
        if isinstance(found, dict) and "resourceVersion" in (found.get("metadata") or {}):
            self._bound.update(dict.fromkeys(unknown, found["metadata"]["resourceVersion"]))

    def _filled(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda one: self._bound.get(one[0], one[0]), text)

    def _bind(self, recorded: Any, found: Any) -> None:
        if isinstance(recorded, str) and isinstance(found, str) and _PLACEHOLDER.fullmatch(recorded):
            self._bound.setdefault(recorded, found)
        elif isinstance(recorded, dict) and isinstance(found, dict):
            for key in recorded.keys() & found.keys():
                self._bind(recorded[key], found[key])
        elif isinstance(recorded, list) and isinstance(found, list):
            for pair in zip(recorded, found, strict=False):
                self._bind(*pair)


def _body(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _reason(body: Any) -> str:
    return str(body.get("reason", "")) if isinstance(body, dict) and body.get("kind") == "Status" else ""


def ask_all(client: httpx.Client, asked: Sequence[Mapping[str, Any]]) -> Iterator[Answered]:
    """All scenarios that can be asked.

    Raises:
        SystemExit: The namespace does not say that the cluster may be used up.
    """
    place = client.get(f"/api/v1/namespaces/{NAMESPACE}").json()
    if ((place.get("metadata") or {}).get("labels") or {}).get(CONSENT) != "true":
        sys.exit(
            f"error: expected the namespace {NAMESPACE} with the label {CONSENT}=true, which says that this cluster is "
            f"there to be thrown away\n\nhint: kubectl create namespace {NAMESPACE}; kubectl label namespace {NAMESPACE} "
            f"env=staging {CONSENT}=true"
        )
    asker = Asker(client)
    for scenario in asked:
        if not why_not(scenario):
            yield asker.ask(scenario)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 where fewer steps agree than are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", required=True, metavar="URL")
    parser.add_argument("--only", default="", metavar="REGEX", help="names of scenarios")
    parser.add_argument("--at-least", type=float, default=100.0, metavar="PERCENT", help="of the steps have to agree")
    given = parser.parse_args(argv)
    chosen = [one for one in scenarios(given.folder) if re.search(given.only, one["name"])]
    with httpx.Client(base_url=given.server, trust_env=False, timeout=60) as client:
        answered = list(ask_all(client, chosen))
    steps, differences = sum(one.steps for one in answered), [line for one in answered for line in one.differences]
    print(*differences, sep="\n")  # noqa: T201
    print(f"{steps - len(differences)} of {steps} steps agree, in {len(answered)} of {len(chosen)} scenarios")  # noqa: T201
    return 0 if steps and 100 * (steps - len(differences)) / steps >= given.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
