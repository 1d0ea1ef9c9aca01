from __future__ import annotations

import json

import pytest

from chaos.adapters.declared_text import without_secret_values
from chaos.adapters.experiment_file import parse_experiment
from chaos.errors import InputError
from chaos.model.experiment import Load, Request
from chaos.model.prometheus import Prometheus
from chaos.values.secrets import Address, redacted, telling_values, without_secrets

CANARY = "canary-4711"


@pytest.mark.parametrize(("url", "shown"), [
    ("http://h:1/p", "http://h:1/p"),
    (f"https://me:{CANARY}@h:1/p?key={CANARY}#{CANARY}", "https://h:1/p"),
    (f"https://me:{CANARY}/{CANARY}@h", "https://h"),
    (f"https://me:{CANARY}@{CANARY}@h/p", "https://h/p"),
    (f"me:{CANARY}@h:9090", "h:9090"),
    ("", ""),
])  # fmt: skip
def test_an_address_is_shown_without_secrets_whatever_its_form(url: str, shown: str) -> None:
    assert without_secrets(url) == str(Address(url)) == shown
    assert CANARY not in repr(Address(url))
    assert Address(url).get_secret_value() == url


def test_an_address_is_one_in_json_too() -> None:
    shown = json.loads(Prometheus(f"http://me:{CANARY}@h/p", headers={"X-Key": CANARY}).model_dump_json())
    assert (shown["url"], shown["headers"]) == ("http://h/p", {"X-Key": "**********"})


@pytest.mark.parametrize("text", [
    f"GET http://me:{CANARY}@h/p failed", f"headers {{'Authorization': 'Bearer {CANARY}'}}", f"authorization: basic {CANARY}==",
    f"id_token={CANARY} expired", f'said {{"access_token": "{CANARY}"}}', f"--password='{CANARY}'",
    f"/orders?access_token={CANARY}&x=1", f"/orders?x=1&X-Amz-Signature={CANARY} said", f"{CANARY} in a sentence",
])  # fmt: skip
def test_texts_of_others_lose_what_is_secret_and_nothing_else(text: str) -> None:
    told = redacted(text, [CANARY] if text.startswith(CANARY) else [])
    assert CANARY not in told
    assert "**********" in told
    assert (
        redacted("GET http://h/p?page=2&sort=asc: 404, basic things, password=env:SHOP, token: expected text")
        == "GET http://h/p?page=2&sort=asc: 404, basic things, password=env:SHOP, token: expected text"
    )


def test_variables_tell_by_their_names() -> None:
    named = {"SHOP_TOKEN": "a", "DB_PASSWORD": "b", "API_KEY": "c", "HOME": "d", "PATH": "e"}
    assert list(telling_values(named)) == ["a", "b", "c"]


def test_what_a_request_sends_is_shown_nowhere() -> None:
    request = Request.post(f"/login?token={CANARY}&page=2", headers={"X-Key": CANARY}, body=CANARY)
    load = Load(requests=[request])
    for text in (repr(load), str(request), load.model_dump_json(by_alias=True), request.label):
        assert CANARY not in text
        assert "page=2" in text
    assert (request.sent()["headers"], request.sent()["body"]) == ({"X-Key": CANARY}, CANARY)
    assert request.sent()["path"] == f"/login?token={CANARY}&page=2"
    assert Load.model_validate_json(load.model_dump_json(by_alias=True)).requests[0].label == request.label


@pytest.mark.parametrize("wrong", [
    {"headers": CANARY}, {"headers": {f"Authorization: {CANARY}": ""}}, {"headers": {"X": f"{CANARY}\n"}}, {"headers": {"X": f"{CANARY} €"}}, {"headers": {"X": [CANARY]}}, {"body": [CANARY]}, {"body": {"a": CANARY}},
])  # fmt: skip
def test_a_wrong_request_is_told_without_its_secrets(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        Request("/login", **wrong)  # type: ignore[arg-type]
    document = {"experiment": "a", "load": {"requests": [{"path": "/login", **wrong}]}}
    with pytest.raises(InputError) as read:
        parse_experiment(json.dumps(document))
    assert CANARY not in str(caught.value) + str(read.value)
    assert "load.requests[0]" in str(read.value)


DECLARED = """\
# experiment
experiment: a
load:
  requests:
    - &first
      path: /login?token=canary-1   # stays
      body: |
        {"password": "canary-2"}
        canary-3
      headers: &shared
        Authorization: "Bearer
          canary-4"
        x: canary-5  # stays
    - {path: /b, headers: {<<: *shared, y: 'canary-6'}, body: canary-7}
    - <<: *first
      body: >-
        canary-8
        canary-9
    - headers: {ä: !!str canary-10}
steadyState: [{title: answered, good: {body: stays}}]
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_declared_text_is_as_it_was_but_for_its_secrets(newline: str) -> None:
    shown = without_secret_values(DECLARED.replace("\n", newline))
    assert "canary" not in shown
    assert shown.count("stays") == 3
    assert shown.count("**********") == 8
    assert without_secret_values("experiment: a\n---\n") == "experiment: a\n---\n"
