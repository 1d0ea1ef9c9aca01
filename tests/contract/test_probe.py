"""What every ``Probe`` has to do: real connections to a real server, and the entry of the shop in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from chaos.adapters.http_probe import HttpProbe
from chaos.model.experiment import Request
from chaos.ports import Probe
from chaos.testing.shop import Shop
from chaos.values.entry import Contact, Hindrance
from tests.contract.load_server import Server


@dataclass
class Entry:
    """A probe, what it looks at, and the requests that came there."""

    probe: Probe
    url: str
    came: Callable[[], list[str]]


def over_http() -> Iterator[Entry]:
    with Server() as server:
        yield Entry(HttpProbe(timeout=1.0), server.url, lambda: [f"{one.method} {one.path}" for one in server.seen])


def in_memory() -> Iterator[Entry]:
    probe = Shop().probe
    probe.answers = {
        "/status/404": Contact(status=404),
        "/redirect": Contact(status=302, location="/followed"),
        "/closed": Contact(hindrance=Hindrance.CLOSED),
    }
    yield Entry(probe, "http://shop.memory", lambda: probe.asked)


@pytest.fixture(params=[over_http, in_memory])
def entry(request: pytest.FixtureRequest) -> Iterator[Entry]:
    yield from request.param()


def test_a_connection_is_no_request(entry: Entry) -> None:
    found = entry.probe.connect(entry.url, host="shop.example")
    assert (found.hindrance, found.status, found.location) == (None, 0, "")
    assert entry.came() == []


@pytest.mark.parametrize(
    ("path", "found"),
    [("/ok", (200, "")), ("/status/404", (404, "")), ("/redirect", (302, "/followed"))],
)
def test_each_request_is_sent_once_and_any_status_is_an_answer(entry: Entry, path: str, found: tuple[int, str]) -> None:
    contact = entry.probe.ask(entry.url, Request.get(path), host=None)
    assert (contact.status, contact.location, contact.hindrance) == (*found, None)
    assert entry.came() == [f"GET {path}"]


def test_that_there_is_no_answer_is_told_and_not_raised(entry: Entry) -> None:
    contact = entry.probe.ask(entry.url, Request.get("/closed"), host=None)
    assert (contact.status, contact.hindrance) == (0, Hindrance.CLOSED)
