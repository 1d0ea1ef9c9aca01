"""What the entry's answers mean, and what is said of them."""

from __future__ import annotations

import pytest

from chaos.expectations.mesh import Expectation
from chaos.judge import EntryFinding, judge_entry
from chaos.model.experiment import Experiment, Load, Request
from chaos.values.entry import Contact, Hindrance
from tests.support.histories import experiment

ENTRY = "http://10.1.2.3:8080"
GET = Request.get("/orders/42")


def with_load(*requests: Request, good: str = "<500", host: str | None = None) -> Experiment:
    expected = Expectation("answered", service="order-svc", status=good, at_least="90%")
    return experiment().model_copy(
        update={"load": Load(requests=requests, host=host), "steady_state": (expected,)},
    )


def found(
    contact: Contact, *more: Contact, good: str = "<500", entry: str = ENTRY, host: str | None = None
) -> EntryFinding:
    """The finding for an entry that answers the first request so, and so on."""
    requests = [Request.get(f"/orders/{number}") for number in range(1 + len(more))]
    answers = list(zip(requests, (contact, *more), strict=True))
    return judge_entry(with_load(*requests, good=good, host=host), entry, Contact(), answers)


@pytest.mark.parametrize(
    ("contact", "said", "cure"),
    [
        (Contact(status=404, by_gateway=True), "404, probably from the gateway itself: it has no route for the host 10.1.2.3", "load.host"),
        (Contact(status=404), "GET /orders/0: status 404", "correct the path"),
        (Contact(status=401), "401: the requests need credentials", "token for staging"),
        (Contact(status=403), "403: the requests need credentials", "token for staging"),
        (Contact(status=301, location="https://10.1.2.3/orders/0"), "301, a redirect to https://10.1.2.3/orders/0", "write https://"),
        (Contact(status=302, location="https://sso.example/x?state=secret"), "a redirect to https://sso.example/x, which looks like a login", "token"),
        (Contact(status=302, location="/login?next=%2F"), "to http://10.1.2.3:8080/login, which looks like a login page", "token"),
        (Contact(status=307, location="//shop.example/orders/0"), "a redirect to http://shop.example/orders/0", "load.host"),
        (Contact(hindrance=Hindrance.TLS_ONLY), "it speaks TLS, and plain HTTP was sent to it", "write https://"),
    ],
)  # fmt: skip
def test_what_is_hopeless_for_every_request_stops_the_run(contact: Contact, said: str, cure: str) -> None:
    hopeless = found(contact).hopeless
    assert hopeless is not None
    assert hopeless.text.startswith(f"the entry {ENTRY} can't be used: ")
    assert said in hopeless.text
    assert cure in hopeless.hint
    assert "secret" not in hopeless.text


@pytest.mark.parametrize(
    ("contact", "said"),
    [
        (Contact(status=400), "400; see why"),
        (Contact(status=503), "503; see why"),
        (Contact(status=302, location="/orders/"), "a redirect to http://10.1.2.3:8080/orders/; declare that path"),
        (Contact(hindrance=Hindrance.SILENT), "no answer came in time"),
        (Contact(hindrance=Hindrance.CLOSED), "the connection was closed without an answer"),
    ],
)
def test_what_a_run_may_find_out_by_itself_is_only_noted(contact: Contact, said: str) -> None:
    noted = found(contact)
    assert noted.hopeless is None
    (note,) = noted.notes
    assert said in note


@pytest.mark.parametrize("hindrance", Hindrance)
def test_every_hindrance_of_the_connection_has_its_sentence_and_its_cure(hindrance: Hindrance) -> None:
    contact = Contact(hindrance=hindrance, detail="in other words")
    told = judge_entry(with_load(GET), ENTRY, contact, [])
    text = f"{told.hopeless.text}; {told.hopeless.hint}" if told.hopeless else told.notes[0]
    assert ENTRY in text
    assert "{" not in text


def test_what_is_as_it_should_be_needs_no_word() -> None:
    assert found(Contact(status=200), Contact(status=204)) == EntryFinding()


def test_one_request_that_arrives_is_enough() -> None:
    mixed = found(Contact(status=404), Contact(status=200), Contact(status=404))
    assert mixed.hopeless is None
    assert mixed.notes == (f"the entry {ENTRY}: GET /orders/0 and 1 more: status 404; {NO_ROUTE}",)


NO_ROUTE = (
    "correct the path; a gateway that has no route for this host answers so too, and then load.host names the right one"
)


def test_requests_that_were_not_sent_may_arrive() -> None:
    post = with_load(GET, Request.post("/orders"))
    assert judge_entry(post, ENTRY, Contact(), [(GET, Contact(status=404))]).hopeless is None
    assert judge_entry(with_load(Request.post("/orders")), ENTRY, Contact(), []) == EntryFinding()
    tls = judge_entry(post, ENTRY, Contact(), [(GET, Contact(hindrance=Hindrance.TLS_ONLY))])
    assert tls.hopeless is not None


@pytest.mark.parametrize("good", ["404", "4xx", ">=400"])
def test_a_status_that_is_declared_good_is_what_was_wanted(good: str) -> None:
    assert found(Contact(status=404), good=good) == EntryFinding()


def test_several_things_are_told_together() -> None:
    hopeless = found(Contact(status=404), Contact(status=401)).hopeless
    assert hopeless is not None
    assert "GET /orders/0: status 404; GET /orders/1: status 401" in hopeless.text
    assert (
        hopeless.hint
        == f"{NO_ROUTE}. give the requests a header with a token for staging, or name an entry behind the login"
    )


def test_the_declared_host_is_the_one_that_has_no_route() -> None:
    hopeless = found(Contact(status=404, by_gateway=True), host="shop.example").hopeless
    assert hopeless is not None
    assert "no route for the host shop.example" in hopeless.text


def test_no_password_of_the_entry_is_shown() -> None:
    hopeless = found(Contact(status=404), entry="http://user:secret@10.1.2.3:8080").hopeless
    assert hopeless is not None
    assert "secret" not in hopeless.text
    assert ENTRY in hopeless.text


def test_a_certificate_that_is_not_trusted_is_noted() -> None:
    connection = Contact(certificate="self-signed certificate")
    noted = judge_entry(with_load(GET), "https://shop.example", connection, [(GET, Contact(status=200))])
    assert noted.hopeless is None
    assert "not trusted on this machine (self-signed certificate)" in noted.notes[0]


def test_a_locustfile_may_go_another_way() -> None:
    own = experiment().model_copy(update={"load": Load(locustfile="load.py")})
    hidden = Contact(hindrance=Hindrance.UNKNOWN_NAME, proxied=True)
    noted = judge_entry(own, ENTRY, hidden, [])
    assert noted.hopeless is None
    assert "may reach it through the proxy that the environment names" in noted.notes[0]
    assert judge_entry(with_load(GET), ENTRY, hidden, []).hopeless is not None, "declared requests never do"


@pytest.mark.parametrize("status", [404, 503])
def test_a_gateway_that_may_be_starting_is_asked_again(status: int) -> None:
    assert found(Contact(status=status)).passing
    assert not found(Contact(status=status), Contact(status=200)).passing
    assert not found(Contact(status=401)).passing
