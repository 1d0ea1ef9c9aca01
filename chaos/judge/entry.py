"""What the entry's answers mean: a run that is surely hopeless is not begun, everything else is only noted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from chaos.expectations.share import ShareOfGood
from chaos.model.experiment import Experiment, Request
from chaos.values.entry import Contact, Hindrance
from chaos.values.secrets import without_secrets

SAFE: Final = ("GET", "HEAD")
"""Methods that change nothing (RFC 9110, 9.2.1); no others are sent before a run."""
_PASSING: Final = (
    Hindrance.REFUSED,
    Hindrance.UNREACHABLE,
    Hindrance.NOT_ACCEPTED,
    Hindrance.TLS_FAILED,
    Hindrance.CLOSED,
)
_STARTING: Final = (404, 502, 503, 504)
"""What a gateway answers that has no routes yet, or no service behind them."""
_LOGIN: Final = re.compile(
    r"(?:^|[/._-])(?:log-?in|sign-?in|oauth2?|oidc|openid(?:-connect)?|authorize|saml2?|sso|realms|adfs)(?:[/._?-]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Remark:
    """What is wrong with an answer, in a sentence's second half, and what to do.

    Args:
        hopeless: With this answer to everything, no load arrives where it should.
    """

    text: str
    hint: str
    hopeless: bool = True


@dataclass(frozen=True)
class EntryFinding:
    """What is known of the entry.

    Args:
        hopeless: Why no run is begun, and what to do; ``None`` where one may be.
        notes: What should be known of a run that is begun.
        passing: Whether a moment later all may be well: something may only be starting.
    """

    hopeless: Remark | None = None
    notes: tuple[str, ...] = ()
    passing: bool = False


_HINDRANCES: Final[Mapping[Hindrance, Remark]] = {
    Hindrance.REFUSED: Remark(
        "nobody listens there (connection refused)",
        "start what leads there again, such as kubectl port-forward, or correct the address of the entry",
    ),
    Hindrance.UNKNOWN_NAME: Remark(
        "its name can't be resolved on this machine",
        "correct the name; if the gateway has none in DNS, give its address as the entry and its name as load.host",
    ),
    Hindrance.UNREACHABLE: Remark(
        "it can't be reached ({detail})", "check the network between this machine and the entry, such as a VPN, or its address"
    ),
    Hindrance.NO_TLS: Remark(
        "it does not speak TLS", "write http:// instead of https://, or name the port of the gateway that speaks TLS"
    ),
    Hindrance.TLS_ONLY: Remark(
        "it speaks TLS, and plain HTTP was sent to it",
        "write https:// instead of http://, or name the port of the gateway that speaks plain HTTP",
    ),
    Hindrance.TLS_FAILED: Remark(
        "the TLS handshake failed ({detail})",
        "if the port speaks plain HTTP, write http://; a gateway chooses its certificate by name, so give load.host if the entry "
        "is an address; the load has no certificate of its own, so the gateway must not ask for one",
    ),
    Hindrance.NOT_ACCEPTED: Remark(
        "it accepted no connection in time",
        "check the address and the firewalls between this machine and the entry",
        hopeless=False,
    ),
    Hindrance.CLOSED: Remark(
        "the connection was closed without an answer", "see the gateway's log before you trust the run", hopeless=False
    ),
    Hindrance.SILENT: Remark(
        "no answer came in time", "see why this takes so long before you trust the run", hopeless=False
    ),
}  # fmt: skip


def judge_entry(
    experiment: Experiment, entry: str, connection: Contact, answers: Sequence[tuple[Request, Contact]]
) -> EntryFinding:
    """What was found.

    Args:
        experiment: What would be run.
        entry: The entry's URL.
        connection: What became of a connection without a request.
        answers: What became of the requests that were sent; those that were not sent, for their method or because time was short, can
            not be hopeless.
    """
    shown = without_secrets(entry)
    if connection.hindrance is not None:
        remark = _hindered(connection)
        passing = connection.hindrance in _PASSING
        other_way = experiment.load.locustfile is not None and connection.proxied
        if remark.hopeless and not other_way:
            return EntryFinding(
                hopeless=Remark(f"the entry {shown} can't be used: {remark.text}", remark.hint), passing=passing
            )
        cure = "the locustfile may reach it through the proxy that the environment names" if other_way else remark.hint
        return EntryFinding(notes=(f"the entry {shown}: {remark.text}; {cure}",), passing=passing and not other_way)
    remarks = [(request, _remark(experiment, entry, contact)) for request, contact in answers]
    told = dict(_told(remarks))
    asked_all = bool(answers) and len(answers) == len(experiment.load.requests)
    all_wrong = bool(answers) and all(remark is not None for _, remark in remarks)
    passing = all_wrong and all(_may_pass(contact) for _, contact in answers)
    everywhere_tls = any(contact.hindrance is Hindrance.TLS_ONLY for _, contact in answers)
    if everywhere_tls or (asked_all and all(remark is not None and remark.hopeless for _, remark in remarks)):
        text, hint = "; ".join(told.values()), " ".join(f"{remark.hint}." for remark in told)
        return EntryFinding(
            hopeless=Remark(f"the entry {shown} can't be used: {text}", hint.rstrip(".")), passing=passing
        )
    notes = [f"the entry {shown}: {text}; {remark.hint}" for remark, text in told.items()]
    if connection.certificate:
        notes.append(
            f"the certificate of the entry {shown} is not trusted on this machine ({connection.certificate}); declared requests are "
            "sent all the same, a locustfile's HttpUser refuses it"
        )
    return EntryFinding(notes=tuple(notes), passing=passing)


def _told(remarks: Sequence[tuple[Request, Remark | None]]) -> Iterator[tuple[Remark, str]]:
    """Each remark once, with the requests that it is about."""
    for remark in dict.fromkeys(remark for _, remark in remarks if remark is not None):
        first, *others = [request.label for request, one in remarks if one == remark]
        more = f" and {len(others)} more" if others else ""
        yield remark, f"{first}{more}: {remark.text}"


def _may_pass(contact: Contact) -> bool:
    return contact.hindrance in _PASSING if contact.hindrance is not None else contact.status in _STARTING


def _hindered(contact: Contact) -> Remark:
    assert contact.hindrance is not None  # noqa: S101 - callers look
    remark = _HINDRANCES[contact.hindrance]
    return Remark(remark.text.format(detail=contact.detail), remark.hint, remark.hopeless)


def _remark(experiment: Experiment, entry: str, contact: Contact) -> Remark | None:
    """What is wrong with one answer; ``None`` where nothing is."""
    if contact.hindrance is not None:
        return _hindered(contact)
    status = contact.status
    if status < 300 or _wanted(experiment, status):
        return None
    if status < 400:
        return _redirect(entry, contact)
    if status == 404 and contact.by_gateway:
        host = experiment.load.host or urlsplit(entry).hostname
        return Remark(
            f"status 404, probably from the gateway itself: it has no route for the host {host} and this path",
            "give load.host one of the hosts of the gateway's VirtualService, or correct the path",
        )
    if status == 404:
        return Remark(
            "status 404",
            "correct the path; a gateway that has no route for this host answers so too, and then load.host names the right one",
        )
    if status in (401, 403):
        return Remark(
            f"status {status}: the requests need credentials",
            "give the requests a header with a token for staging, or name an entry behind the login",
        )
    return Remark(f"status {status}", "see why before you trust the run", hopeless=False)


def _wanted(experiment: Experiment, status: int) -> bool:
    """Whether an expectation declares this status good, and success not."""
    goods = [one.good for one in experiment.steady_state if isinstance(one, ShareOfGood)]
    return any(good.status_is_good(status) and not good.status_is_good(200) for good in goods)


def _redirect(entry: str, contact: Contact) -> Remark:
    leads = urljoin(f"{entry}/", contact.location)
    here, there, shown = urlsplit(entry), urlsplit(leads), without_secrets(leads)
    text = f"status {contact.status}, a redirect to {shown}"
    if _LOGIN.search(f"{there.hostname or ''}{there.path}"):
        return Remark(
            f"{text}, which looks like a login page",
            "give the requests a header with a token for staging, or name an entry behind the login",
        )
    if here.scheme == "http" and there.scheme == "https":
        return Remark(text, "write https:// in the entry: the load does not follow redirects")
    if (here.hostname, here.port) != (there.hostname, there.port):
        return Remark(text, "name that host as the entry, or as load.host: the load does not follow redirects")
    return Remark(text, "declare that path: the load does not follow redirects", hopeless=False)
