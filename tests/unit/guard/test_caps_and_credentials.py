"""The most that may be asked for, and what the identity in use may do beside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from chaos.engine.planning import reach_of_credentials
from chaos.errors import InputError, MeshError
from chaos.guard import Draft, check
from chaos.injection.warnings import warnings
from chaos.model.experiment import Experiment
from chaos.model.settings import Caps, Settings
from tests.support.drafts import draft
from tests.support.situations import experiment, namespace, situation, virtual_service

STAGING = Settings(namespaces=("staging",))


def asked(**changes: Any) -> Experiment:
    raw = experiment().model_dump(mode="json", by_alias=True, exclude_none=True)
    return Experiment.model_validate({**raw, **changes})


def broken(wanted: Experiment, caps: Caps) -> dict[str, str]:
    made = Draft(experiment=wanted, situation=situation(), settings=STAGING.model_copy(update={"caps": caps}))
    return {one.rule: one.message for one in check(made) if one.rule.endswith("-capped")}


@pytest.mark.parametrize(
    ("changes", "caps", "rule", "told"),
    [
        ({"faults": [{"abort": {"percentage": 50.1, "httpStatus": 503}}]}, Caps(percentage=50), "percentage-capped", "faults.abort.percentage is 50.1 %, and at most 50 %"),
        ({"faults": [{"delay": {"percentage": 51, "fixedDelay": "1s"}}]}, Caps(percentage=50), "percentage-capped", "faults.delay.percentage"),
        ({"faults": [{"delay": {"percentage": 1, "fixedDelay": "5001ms"}}]}, Caps(delay=timedelta(seconds=5)), "delay-capped", "5.001s"),
        ({"limits": {"fault": "61s"}}, Caps(duration=timedelta(minutes=1)), "duration-capped", "limits.fault is 61s"),
        ({"load": {"rate": 101, "requests": [{"path": "/"}]}}, Caps(rate=100), "rate-capped", "load.rate is 101/s"),
    ],
)  # fmt: skip
def test_more_than_the_cap_is_refused_and_the_cap_itself_is_not(
    changes: dict[str, Any], caps: Caps, rule: str, told: str
) -> None:
    found = broken(asked(**changes), caps)
    assert list(found) == [rule]
    assert told in found[rule]
    assert broken(asked(**changes), Caps()) == {}


def test_all_caps_are_told_at_once() -> None:
    wanted = asked(
        faults=[{"abort": {"percentage": 90, "httpStatus": 500}, "delay": {"percentage": 90, "fixedDelay": "9s"}}],
        limits={"fault": "9m"}, load={"rate": 900, "requests": [{"path": "/"}]},
    )  # fmt: skip
    small = Caps(percentage=1, delay=timedelta(seconds=1), duration=timedelta(seconds=9), rate=1)
    assert set(broken(wanted, small)) == {"percentage-capped", "delay-capped", "duration-capped", "rate-capped"}


# --- namespaces by pattern ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "name", "listed"),
    [
        ("staging", "staging", True),
        ("staging", "staging-2", False),
        ("team-*-staging", "team-a-staging", True),
        ("team-*-staging", "team-a-production", False),
        ("team-*-staging", "TEAM-a-staging", False),
        ("qa-[0-9]xx", "qa-1xx", True),
        ("staging", "stag\u0131ng", False),
    ],
)
def test_names_and_patterns(entry: str, name: str, listed: bool) -> None:
    assert Settings(namespaces=(entry,)).lists(name) is listed


@pytest.mark.parametrize(
    "entry", ["*", "**", "?*", "a*", "*-*", "prod*", "*system", "l*i*v*e", "kube-*", "pro?uction", "Te*ms"]
)
def test_a_pattern_that_is_too_wide_is_an_error(entry: str) -> None:
    with pytest.raises(InputError, match="the pattern"):
        Settings(namespaces=(entry,))


def test_a_pattern_is_expanded_to_what_is_there() -> None:
    settings = Settings(namespaces=("own", "team-*"))
    assert settings.listed(["team-b", "other", "team-a", "own"]) == ("own", "team-a", "team-b")


# --- credentials -------------------------------------------------------------------------------------------------------


class Reviewed:
    """A cluster that says where the identity may write."""

    def __init__(self, *allowed: str, fails: bool = False) -> None:
        self.allowed, self.fails = allowed, fails
        self.asked: list[str | None] = []

    def namespaces(self) -> Sequence[Any]:
        return [namespace(name) for name in ("staging", "production", "other")]

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str | None = None) -> bool:
        if self.fails:
            raise MeshError("no such API", status=404)
        self.asked.append(namespace)
        return "*" in self.allowed or (namespace in self.allowed and verb == "update")


@pytest.mark.parametrize(
    ("allowed", "outside"),
    [
        ((), ()),
        (("staging",), ()),
        (("production",), ("production",)),
        (("*",), ("*",)),
        (("other", "staging"), ("other",)),
    ],
)
def test_where_the_identity_may_write_is_asked_of_the_api_server(
    allowed: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    cluster = Reviewed(*allowed)
    assert reach_of_credentials(cluster, STAGING) == outside  # type: ignore[arg-type]
    assert "staging" not in cluster.asked, "there it has to be able to"


def test_nothing_is_claimed_where_the_server_does_not_answer() -> None:
    assert reach_of_credentials(Reviewed(fails=True), STAGING) == ()  # type: ignore[arg-type]


def test_too_wide_credentials_warn_or_refuse_as_configured() -> None:
    wide = situation(virtual_service(), writable_outside=("production",))
    warned = draft(wide, settings=STAGING)
    assert [one.rule for one in check(warned)] == []
    assert warned.injection is not None
    codes = {warn.code for warn in warnings(warned.experiment, wide, warned.injection, host="x")}
    assert "credentials-too-wide" in codes
    strict = Settings(namespaces=("staging",), credentials="refuse")
    (refusal,) = check(draft(wide, settings=strict))
    assert refusal.rule == "credentials-too-wide"
    assert "in production" in refusal.message
    assert check(draft(settings=strict)) == ()
