"""Recorded conversations with a Kubernetes API server, played against the lab's API.

A conversation has placeholders where the server chose a value: ``<uid:1>``, ``<rv:2>``, ``<continue:1>``. Each is bound to
what the lab answers in its place, sent where a later request has it, and has to stay the same from then on.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from ruamel.yaml import YAML

from chaos.lab.api.garbage import GARBAGE_FINALIZERS
from chaos.lab.api.resources import LEASES, NAMESPACES, VIRTUAL_SERVICES, Resource
from chaos.lab.api.server import create_app
from chaos.lab.api.store import Store
from chaos.lab.controller import Controller
from chaos.lab.istio.validation import VALIDATORS

_PLACEHOLDER: Final = re.compile(r"<(?:uid|rv|name|continue|token):[^<>]+>|<time>|<microtime>|<address>")
_FORMS: Final = {
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<microtime>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "<address>": r".*",
    "<rv:current>": r"\d+", "<name:generated>": r"[a-z0-9.-]+",
}  # fmt: skip
_UNBOUND: Final = {"uid": r"[0-9a-f-]{36}", "rv": r"\d+", "name": r"[a-z0-9.-]+", "continue": r".+", "token": r".+"}
_OF_THE_SERVER: Final = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp",
    "deletionGracePeriodSeconds",
)  # fmt: skip
_AGE: Final = re.compile(r"\d+[smhd]")
_LARGE: Final = re.compile(r"(?P<kind>\w+) (?P<name>\w+) with (?P<where>data\.a|an annotation) of (?P<size>[\d,]+) x")
_WITH_FIVE: Final = ("list-", "watch-")
_FIVE: Final = {"a": {"t": "1", "e": "x"}, "b": {"t": "1", "e": "y"}, "c": {"t": "2"}, "d": {"e": "x"}, "e": {}}
"""The VirtualServices that these scenarios begin with, and their labels; not all of them are shown in each."""
_POLLED: Final = "polled until"
_SPEC: Final = {"exportTo": ["."], "hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing in which an answer is not the recorded one.

    Args:
        scenario: The conversation.
        step: Its number there, from 0.
        asked: Method, path and note of the step.
        what: ``HTTP status``, ``warnings``, ``events``, or the path of a field in the body.
    """

    scenario: str
    step: int
    asked: str
    what: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"step {self.step} ({self.asked}): {self.what}: expected {self.expected!r}, found {self.found!r}"


@dataclass
class Played:
    """How a conversation went."""

    name: str
    differences: list[Difference] = field(default_factory=list)


def conversations(folder: Path) -> list[dict[str, Any]]:
    """The recorded scenarios."""
    with gzip.open(folder / "conversations.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


async def play(scenario: Mapping[str, Any]) -> Played:
    """Plays one conversation against a lab of its own, and compares every answer."""
    return await _Player(scenario).play()


class _Player:
    def __init__(self, scenario: Mapping[str, Any]) -> None:
        self._steps = scenario["steps"]
        self._bound: dict[str, str] = {}
        self._versions: dict[int, str] = {}
        self._played = Played(scenario["name"])
        self._store = Store()
        self._controller = Controller(self._store)
        for name, labels in (("default", {}), ("kube-system", {}), ("rec", {"env": "staging"})):
            self._store.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
        self._controller.settle()
        app = create_app(self._store, validators=VALIDATORS)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://lab")
        self._client.headers.clear()

    async def play(self) -> Played:
        async with self._client:
            await self._begin()
            for number, step in enumerate(self._steps):
                await self._prepare(step)
                answer = await self._send(step["request"])
                self._controller.settle()
                if _POLLED in step.get("note", ""):
                    for _ in range(20):
                        if answer.status_code == step["answer"]["code"]:
                            break
                        await asyncio.sleep(0.02)
                        answer = await self._send(step["request"])
                self._compare(number, step, answer)
        return self._played

    # --- what the recorder did without a record ----------------------------------------------------------------------

    async def _begin(self) -> None:
        """Makes the five, where a scenario begins with them."""
        if self._played.name.startswith(_WITH_FIVE) and not any(_creates(step, "a") for step in self._steps):
            shown = [obj for step in self._steps for obj in _objects(step["answer"])]
            for name, labels in _FIVE.items():
                meta = {"name": name, "namespace": "rec", "labels": labels}
                known: Mapping[str, Any] = next(
                    (obj["metadata"] for obj in shown if obj["metadata"].get("name") == name), {}
                )
                await self._make(VIRTUAL_SERVICES, {"metadata": {**known, **meta}})
        self._versions[0] = str(self._store.version)

    async def _prepare(self, step: Mapping[str, Any]) -> None:
        """Makes the objects that a step shows and no step has made, in the order of their versions."""
        parts = step["request"]["path"].split("/")
        resource = next((one for one in (VIRTUAL_SERVICES, LEASES) if one.plural in parts), None)
        if resource is None or step["answer"]["code"] == 201:
            return
        shown = [*_objects(step["answer"]), *_deleted(step)]
        for obj in sorted(shown, key=lambda one: _number(one["metadata"].get("resourceVersion"))):
            meta = obj["metadata"]
            there = self._store.find(resource, "rec", meta.get("name", ""))
            if meta.get("uid") not in (None, *self._bound) and there is None:
                await self._make(resource, obj)

    async def _make(self, resource: Resource, recorded: Mapping[str, Any]) -> None:
        was = recorded["metadata"]
        meta = {key: value for key, value in was.items() if key not in _OF_THE_SERVER}
        if "finalizers" in was:
            meta["finalizers"] = [one for one in was["finalizers"] if one not in GARBAGE_FINALIZERS]
        spec = recorded.get("spec", _SPEC if resource is VIRTUAL_SERVICES else {})
        obj = {"apiVersion": resource.api_version(), "kind": resource.kind, "metadata": meta, "spec": spec}
        path = f"/apis/{resource.group}/{resource.versions[0]}/namespaces/rec/{resource.plural}"
        answer = await self._client.post(path, json=self._filled(obj), headers={"user-agent": "rec/1.0"})
        made = answer.raise_for_status().json()["metadata"]
        self._bind(was.get("uid", ""), made["uid"])
        if "deletionTimestamp" not in was:  # else its version is already that of its deletion
            self._bind(was.get("resourceVersion", ""), made["resourceVersion"])

    def _bind(self, placeholder: str, value: str) -> None:
        self._bound.setdefault(placeholder, value)
        if placeholder.startswith("<rv:"):
            self._versions.setdefault(_number(placeholder), value)

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _send(self, request: Mapping[str, Any]) -> httpx.Response:
        self._read_versions(request)
        content = request.get("rawBody")
        if isinstance(request.get("body"), str):
            content = _summed_up(request["body"])
        elif "body" in request:
            content = json.dumps(self._timed(request["path"], self._filled(request["body"])))
        return await self._client.request(
            request["method"],
            self._filled(request["path"]),
            params=self._filled(request.get("query") or {}),
            headers=request.get("headers") or {},
            content=None if content is None else self._filled(content).encode(),
        )

    def _read_versions(self, request: Mapping[str, Any]) -> None:
        """What the recorder read before a request: the object's version for a write, the present one for a query."""
        found = self._at(request["path"])
        for one in _PLACEHOLDER.findall(json.dumps(request.get("body"))):
            if found is not None and one.startswith("<rv:") and one not in _FORMS:
                self._bind(one, found["metadata"]["resourceVersion"])
        for one in _PLACEHOLDER.findall(json.dumps(request.get("query") or {})):
            if one.startswith("<rv:") and one not in self._bound and one not in _FORMS:
                self._bind(one, self._versions[max(known for known in self._versions if known < _number(one))])

    def _at(self, path: str) -> Any:
        parts = path.split("/")
        for resource in (VIRTUAL_SERVICES, LEASES):
            if resource.plural in parts[-2:-1]:
                return self._store.find(resource, "rec", parts[-1])
        return None

    def _timed(self, path: str, body: Any) -> Any:
        """The body with times for ``<time>``: those that the object has, as the recorder had read them."""
        text = json.dumps(body)
        if "<time>" not in text:
            return body
        found = self._at(path)
        entries = (found["metadata"].get("managedFields") or ()) if found else ()
        times = {(one["manager"], one["operation"]): one.get("time", "") for one in entries}
        sent = ((body.get("metadata") or {}).get("managedFields") or ()) if isinstance(body, dict) else ()
        for entry in sent:
            if isinstance(entry, dict) and entry.get("time") == "<time>":
                entry["time"] = times.get((entry.get("manager"), entry.get("operation")), "<time>")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.loads(json.dumps(body).replace("<time>", now))

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda found: self._value(found[0]), value)
        if isinstance(value, dict):
            return {self._filled(key): self._filled(inner) for key, inner in value.items()}
        return [self._filled(inner) for inner in value] if isinstance(value, list) else value

    def _value(self, placeholder: str) -> str:
        if placeholder == "<continue:expired>":
            return _expired(self._bound["<continue:1>"])
        return self._bound.get(placeholder, placeholder)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _compare(self, number: int, step: Mapping[str, Any], answer: httpx.Response) -> None:
        request, recorded = step["request"], step["answer"]
        asked = f"{request['method']} {request['path']}{' - ' + step['note'] if step.get('note') else ''}"

        def differs(what: str, expected: object, found: object) -> None:
            name = self._played.name
            one = Difference(scenario=name, step=number, asked=asked, what=what, expected=expected, found=found)
            self._played.differences.append(one)

        if answer.status_code != recorded["code"]:
            differs("HTTP status", recorded["code"], f"{answer.status_code} {answer.text[:300]}")
            self._learn(recorded, answer)
            return
        headers = recorded.get("headers") or {"content-type": "application/json"}
        kind, there = headers.get("content-type", ""), answer.headers.get("content-type", "")
        if kind.partition(";")[0] != there.partition(";")[0]:
            differs("content-type", kind, there)
        for name in ("allow", "retry-after"):
            if headers.get(name) != answer.headers.get(name):
                differs(name, headers.get(name), answer.headers.get(name))
        warned = answer.headers.get_list("warning")
        if sorted(headers.get("warning") or []) != sorted(warned):
            differs("warnings", headers.get("warning") or [], warned)
        if "events" in recorded:
            events = [json.loads(line) for line in answer.text.splitlines()]
            if [one.get("type") for one in recorded["events"]] != [one.get("type") for one in events]:
                said = [(one.get("type"), _name(one)) for one in events]
                differs("events", [(one.get("type"), _name(one)) for one in recorded["events"]], said)
            for at, (wanted, found) in enumerate(zip(recorded["events"], events, strict=False)):
                for path, expected, actual in self._differing(wanted, found, f"events[{at}]"):
                    differs(path, expected, actual)
            return
        for path, expected, actual in self._differing(
            _parsed(recorded["body"], kind), _parsed(_body(answer), kind), ""
        ):
            differs(path, expected, actual)

    def _learn(self, recorded: Mapping[str, Any], answer: httpx.Response) -> None:
        for _ in self._differing(recorded.get("body"), _body(answer), ""):
            pass

    def _differing(self, recorded: Any, found: Any, path: str) -> Iterator[tuple[str, object, object]]:
        """Every field in which two answers differ; binds the placeholders that are met for the first time."""
        if isinstance(recorded, dict) and isinstance(found, dict):
            recorded = {self._filled(key): value for key, value in recorded.items()}
            listed = str(recorded.get("kind", "")).endswith("List") or recorded.get("kind") == "Table"
            for key in sorted(recorded.keys() | found.keys()):
                where = f"{path}.{key}" if path else key
                if key not in recorded or key not in found:
                    yield where, recorded.get(key, "<absent>"), found.get(key, "<absent>")
                elif key == "resourceVersion" and str(recorded[key]).isdigit():
                    continue  # of an object that was there before the recording
                elif key == "metadata" and listed:
                    yield from self._differing(self._of_list(recorded[key]), self._of_list(found[key]), where)
                elif key == "object" and recorded.get("type") == "BOOKMARK":
                    yield from self._differing(_unversioned(recorded[key]), _unversioned(found[key]), where)
                else:
                    yield from self._differing(recorded[key], found[key], where)
        elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
            found = self._in_order(recorded, found)
            if path.endswith("managedFields"):  # in each operation by the second of the write, which a replay has not
                recorded, found = sorted(recorded, key=_whose), sorted(found, key=_whose)
            for at, (wanted, actual) in enumerate(zip(recorded, found, strict=True)):
                yield from self._differing(wanted, actual, f"{path}[{at}]")
        elif not (isinstance(recorded, str) and isinstance(found, str) and self._same(recorded, found)) and (
            recorded != found or type(recorded) is not type(found)
        ):
            yield path, recorded, found

    def _in_order(self, recorded: list[Any], found: list[Any]) -> list[Any]:
        """Objects with generated names in the order in which they were recorded: chance has made it."""
        names = [
            self._filled((one.get("metadata") or {}).get("name")) if isinstance(one, dict) else None for one in recorded
        ]
        if not any("<name:" in json.dumps(one) for one in recorded) or None in names:
            return found
        by_name = {one["metadata"]["name"]: one for one in found}
        return [by_name[name] for name in names] if by_name.keys() == set(names) else found

    @staticmethod
    def _of_list(meta: Any) -> Any:
        """A list's metadata without its version, which is the whole cluster's."""
        return {key: value for key, value in meta.items() if key != "resourceVersion"}

    def _same(self, recorded: str, found: str) -> bool:
        if _AGE.fullmatch(recorded) and _AGE.fullmatch(found):
            return True
        pattern, at, names = "", 0, []
        for one in _PLACEHOLDER.finditer(recorded):
            pattern += re.escape(recorded[at : one.start()])
            at = one.end()
            name = one[0]
            if name in _FORMS:
                pattern += _FORMS[name]
            elif name in self._bound:
                pattern += re.escape(self._bound[name])
            else:
                names.append(name)
                pattern += f"({_UNBOUND[name[1:].partition(':')[0]]})"
        matched = re.fullmatch(pattern + re.escape(recorded[at:]), found, re.DOTALL)
        if matched is None:
            return False
        for name, value in zip(names, matched.groups(), strict=True):
            self._bind(name, value)
        return True


def _objects(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects that an answer shows: itself, the items of a list, of a table's rows, of a watch's events."""
    body = answer.get("body")
    shown = [event.get("object") or event for event in answer.get("events") or ()]
    if isinstance(body, dict):
        rows = [row.get("object") or {} for row in body.get("rows") or ()]
        shown += body.get("items") or rows or [body]
    for obj in shown:
        if isinstance(obj, dict) and isinstance(obj.get("metadata"), dict):
            yield obj


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _name(event: Mapping[str, Any]) -> object:
    return ((event.get("object") or {}).get("metadata") or {}).get("name")


def _parsed(body: Any, media_type: str) -> Any:
    return YAML(typ="safe", pure=True).load(body) if "yaml" in media_type and isinstance(body, str) else body


def _creates(step: Mapping[str, Any], name: str) -> bool:
    body = step["request"].get("body")
    return step["answer"]["code"] == 201 and isinstance(body, dict) and body["metadata"].get("name") == name


def _deleted(step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a deletion says of what it has deleted, where that is no more than its name."""
    body = step["answer"].get("body")
    details = (body.get("details") or {}) if isinstance(body, dict) else {}
    if step["request"]["method"] == "DELETE" and step["answer"]["code"] == 200 and "uid" in details:
        yield {"metadata": {"name": details["name"], "namespace": "rec", "uid": details["uid"]}}


def _number(placeholder: object) -> int:
    found = re.fullmatch(r"<\w+:(\d+)>", str(placeholder))
    return int(found[1]) if found else 0


def _expired(token: str) -> str:
    """A token whose version was set to 1, as the recorder did it."""
    said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps({**said, "rv": 1}).encode()).decode()


def _summed_up(text: str) -> str:
    """A body that was too large to be kept, made from the words that stand for it."""
    found = _LARGE.fullmatch(text)
    if found is None:
        return text
    large = "x" * int(found["size"].replace(",", ""))
    meta: dict[str, Any] = {"name": found["name"]}
    if found["where"] == "data.a":
        return json.dumps({"apiVersion": "v1", "kind": found["kind"], "metadata": meta, "data": {"a": large}})
    meta["annotations"] = {"a": large}
    api_version = VIRTUAL_SERVICES.api_version()
    return json.dumps({"apiVersion": api_version, "kind": found["kind"], "metadata": meta, "spec": _SPEC})


def _whose(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(key)) for key in ("operation", "manager", "apiVersion", "subresource"))


def _unversioned(obj: Any) -> Any:
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}}
