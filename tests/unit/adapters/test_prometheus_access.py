"""Credentials for Prometheus, of each kind and with each part missing; no secret is in any message."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.adapters.settings_file import read_sourced
from chaos.errors import InputError, MetricsError
from chaos.harness.connecting import Options
from chaos.model.prometheus import Prometheus
from chaos.values.questions import Alerts, Requests
from tests.support.back_ends import BackEnd, Imitation, back_ends, certificates, given_access, serving, stored

HOST = "order-svc.staging.svc.cluster.local"
CANARY = "canary-4711"
DOCS = Path(__file__).parents[3] / "docs"


def upstream() -> Any:
    return stored(({"source_workload": "order-svc"}, [(time.time() - 5, 1)]))


def counted(prometheus: Prometheus | str) -> int:
    metrics = PrometheusMetrics(prometheus)
    assert abs(metrics.now() - time.time()) < 5
    assert metrics.scrape_interval() is None, "no target is a proxy, or targets are told to nobody"
    return len(metrics.samples(Requests(host=HOST), seconds=60))


def fail() -> Any:
    def failed(request: Any) -> Any:
        raise OSError(f"no credentials in https://user:{CANARY}@metadata/")

    return failed


@pytest.fixture(autouse=True)
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, dict[str, Any]]:
    monkeypatch.chdir(tmp_path)
    return given_access(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", back_ends())
def test_each_back_end_lets_in_who_has_what_it_wants_and_nobody_else(
    name: str, access: Mapping[str, dict[str, Any]]
) -> None:
    back_end = back_ends()[name]
    with serving(upstream(), back_end) as made:
        assert counted(Prometheus(made.url, **access[name])) == 1
        if access[name]:
            with pytest.raises(MetricsError, match=r"denies access: status 401") as caught:
                counted(made.url)
            assert "docs/how-to/managed-prometheus.md" in str(caught.value)


def test_user_and_password_may_stand_in_the_address() -> None:
    with serving(upstream(), BackEnd(basic=("me", "canary@/4711"))) as made:
        whole = made.url.replace("http://", "http://me:canary%40%2F4711@")
        assert counted(whole) == 1
        assert PrometheusMetrics(whole).url == made.url


def test_the_query_of_the_address_goes_along() -> None:
    with serving(upstream()) as made:
        metrics = PrometheusMetrics(f"{made.url}?partial_response=false")
        metrics.now()
        metrics.samples(Alerts(name="x"), seconds=60)
        assert metrics.url == made.url
    assert all("partial_response=false" in path for path, _ in made.asked)


def test_a_token_that_was_rotated_is_used(tmp_path: Path) -> None:
    back_end = BackEnd(bearer={"canary-token"})
    with serving(upstream(), back_end) as made:
        metrics = PrometheusMetrics(Prometheus(made.url, bearer=f"file:{tmp_path}/TOKEN_FILE"))
        metrics.now()
        back_end.bearer = {CANARY}
        with pytest.raises(MetricsError) as caught:
            metrics.now()
        assert "canary" not in str(caught.value)
        (tmp_path / "TOKEN_FILE").unlink()
        with pytest.raises(MetricsError, match="No such file"):
            metrics.now()
        (tmp_path / "TOKEN_FILE").write_text(f"{CANARY}\n")
        metrics.now()


def test_certificates_of_both_sides(tmp_path: Path) -> None:
    with serving(upstream(), tls=certificates(tmp_path)) as made:
        client = {"certificate": "client.pem", "key": "client.key"}
        assert counted(Prometheus(made.url, ca="ca.pem", **client)) == 1  # type: ignore[arg-type]
        assert counted(Prometheus(made.url, insecure=True, **client)) == 1  # type: ignore[arg-type]
        with pytest.raises(MetricsError, match="SSLError: certificate verify failed") as caught:
            counted(Prometheus(made.url, **client))  # type: ignore[arg-type]
        assert "trust its authority by ca" in str(caught.value)
        with pytest.raises(MetricsError, match="does not answer"):
            counted(Prometheus(made.url, ca="ca.pem"))


@pytest.mark.parametrize(("back_end", "says"), [
    (BackEnd(bearer={"x"}, login=True), r"redirect to http://127\.0\.0\.1:\d+/login|redirect to /login"),
    (BackEnd(status=404), "does not exist there: status 404"),
    (BackEnd(status=429), "limits how often it is asked"),
    (BackEnd(status=407), "the proxy before .* denies access: status 407"),
    (BackEnd(status=503), "can't answer 'time.*it does not work"),
    (BackEnd(status=422, says="too many samples"), r"can't answer 'time.*too many samples[^\n]*\n\nhint: that is a limit of this back end"),
    (BackEnd(headers={"X-Scope-OrgID": "a"}), "denies access: status 401: no org id"),
])  # fmt: skip
def test_who_gets_no_data_is_told_why(back_end: BackEnd, says: str) -> None:
    with serving(upstream(), back_end) as made, pytest.raises(MetricsError) as caught:
        PrometheusMetrics(made.url).now()
    assert re.search(says, str(caught.value)), caught.value


def test_a_server_that_repeats_what_it_was_sent_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", CANARY)
    with serving(upstream(), BackEnd(bearer={"x"}, repeats=True)) as made, pytest.raises(MetricsError) as caught:
        PrometheusMetrics(Prometheus(made.url, bearer="env:TOKEN", headers={"X-Key": "env:TOKEN"})).now()
    assert "unauthorized" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("given", "says"), [
    ({"bearer": "env:NOBODY"}, "expected the secret for bearer at env:NOBODY: this variable is not set"),
    ({"bearer": "file:nowhere"}, "expected the secret for bearer at file:nowhere: No such file"),
    ({"bearer": "env:BROKEN"}, "line break"),
    ({"bearer": "env:EMPTY"}, "the secret for bearer is empty"),
    ({"headers": {"X-Key": "env:BROKEN"}}, "line break"),
    ({"bearer": CANARY}, "bearer: expected env:NAME or file:PATH"),
    ({"password": CANARY, "user": "me"}, "password: expected env:NAME or file:PATH"),
    ({"user": "me"}, "expected user and password together"),
    ({"bearer": "env:TOKEN", "auth": "a:b"}, "expected one way to authenticate, got bearer and auth"),
    ({"headers": CANARY}, "headers: expected a mapping"),
    ({"headers": {f"Authorization: {CANARY}": ""}}, "expected a header's name"),
    ({"key": f"-----BEGIN PRIVATE KEY-----\\n{CANARY}", "certificate": "x"}, "key: expected the path of a file"),
    ({"ca": "nowhere.pem"}, "expected a file for ca at nowhere.pem"),
    ({"key": "nowhere.pem"}, "key is for a certificate"),
    ({"insecure": True, "ca": "x"}, "exclude each other"),
    ({"insecure": "yes"}, "insecure: 'yes': expected true or false"),
    ({"auth": "sign"}, "expected module:function"),
    ({"auth": "nobody_has_this:sign"}, "No module named 'nobody_has_this'"),
    ({"auth": "builtins:int"}, "expected auth 'builtins:int' to make an authentication for requests, got a int"),
])  # fmt: skip
def test_what_is_wrong_is_told_without_the_secret(given: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", f"{CANARY}\n{CANARY}")
    monkeypatch.setenv("EMPTY", " ")
    with pytest.raises(InputError) as caught:
        PrometheusMetrics(Prometheus("http://127.0.0.1:1", **given))
    assert says in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_hook_that_fails_says_so_without_the_secret() -> None:
    with pytest.raises(MetricsError, match=rf"{__name__}:fail' for Prometheus failed: OSError: no creden") as caught:
        PrometheusMetrics(Prometheus("http://127.0.0.1:1", auth=f"{__name__}:fail")).now()
    assert CANARY not in str(caught.value)


def test_files_variables_and_options_say_it_alike(tmp_path: Path) -> None:
    (tmp_path / "chaos.toml").write_text(
        f'[prometheus]\nurl = "http://me:{CANARY}@file:1/"\nca = "ca.pem"\nheaders = {{X-Scope-OrgID = "a"}}\nbearer = "file:token"'
    )
    variables = {
        "CHAOS_PROMETHEUS": "http://env:1", "CHAOS_PROMETHEUS_BEARER": "env:TOKEN",
        "CHAOS_PROMETHEUS_HEADERS": "X-A=1, X-Scope-OrgID=b", "CHAOS_PROMETHEUS_INSECURE": "false",
    }  # fmt: skip
    of_file = read_sourced(tmp_path, {}).settings.prometheus
    assert (str(of_file.url), of_file.ca, of_file.bearer) == (
        "http://file:1",
        f"{tmp_path}/ca.pem",
        f"file:{tmp_path}/token",
    )
    assert CANARY not in repr(of_file)
    sourced = read_sourced(tmp_path, variables)
    made = sourced.settings.prometheus.with_access(["headers.X-Scope-OrgID=c"])
    assert (str(made.url), made.bearer, made.ca, made.insecure) == (
        "http://env:1",
        "env:TOKEN",
        f"{tmp_path}/ca.pem",
        False,
    )
    assert {name: value.get_secret_value() for name, value in made.headers.items()} == {
        "X-Scope-OrgID": "c",
        "X-A": "1",
    }
    assert made.variables == ("TOKEN",)
    assert "CHAOS_PROMETHEUS_BEARER" in sourced.sources["prometheus"]
    with pytest.raises(InputError, match="CHAOS_PROMETHEUS_BEARER: bearer: expected env:NAME"):
        read_sourced(tmp_path, {"CHAOS_PROMETHEUS_BEARER": CANARY})
    for headers in (f"Authorization: Bearer {CANARY}", f"X-Tenant=a,{CANARY}"):  # which people write so, or has a comma
        with pytest.raises(InputError, match=r"CHAOS_PROMETHEUS_HEADERS: .*has no = \(it is not shown\)") as caught:
            read_sourced(tmp_path, {"CHAOS_PROMETHEUS_HEADERS": headers})
        assert CANARY not in str(caught.value)
    with pytest.raises(InputError, match="expected a credential or TLS setting and its value, got 'token'"):
        of_file.with_access([f"token={CANARY}"])


def test_a_command_line_is_no_place_for_a_password() -> None:
    for name, url in product(
        ("prometheus", "entry"), (f"http://me:{CANARY}@h", f"me:{CANARY}@h", f"http://h?api_key={CANARY}")
    ):
        with pytest.raises(InputError, match=f"give the address by the variable CHAOS_{name.upper()}") as caught:
            Options.typed(context="c", **{name: url})
        assert CANARY not in str(caught.value)
    assert Options.typed(context="c", prometheus="http://h/p?dedup=true").prometheus


def asked_with(made: Imitation, header: str) -> list[str | None]:
    return [headers.get(header) for _, headers in made.asked]


def test_a_proxy_of_the_environment_is_not_asked_and_no_netrc_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(upstream()) as made:
        PrometheusMetrics(made.url).now()
        assert asked_with(made, "Authorization") == [None]


@pytest.mark.parametrize(
    "proxy", ["http://me:{}@127.0.0.1:9", "http://me:{}@h:x", "socks5://me:{}@127.0.0.1:9", "x://me:{}@h"]
)
def test_a_proxy_that_can_not_be_used_is_told_as_such(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy.format(CANARY))
    with pytest.raises(MetricsError, match="can't be reached through the proxy before it") as caught:
        PrometheusMetrics("https://metrics.invalid").now()
    assert "correct HTTPS_PROXY" in str(caught.value.hint)
    assert CANARY not in str(caught.value)


def test_the_pages_say_what_is_tested() -> None:
    table = (DOCS / "reference" / "metrics-back-ends.md").read_text().partition("| back end |")[2].partition("\n\n")[0]
    assert [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")] == list(back_ends())
    page = (DOCS / "how-to" / "managed-prometheus.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    Path("pyproject.toml").write_text(example)
    settings = read_sourced(Path.cwd(), {}).settings.prometheus
    assert (settings.bearer, settings.key) == ("env:METRICS_TOKEN", str(Path.cwd() / "certs/reader.key"))
    assert all(f"`{name}`" in page or f"`{name} = true`" in page for name in Prometheus.model_fields)
