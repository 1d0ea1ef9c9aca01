"""The user's locustfile as load: a real Locust process against a real server on loopback."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from chaos.adapters.locust_load import LocustLoad
from chaos.errors import LoadError
from chaos.model.experiment import Load
from tests.contract.load_server import Server
from tests.contract.loads import DEGRADED, begin, collect, outcomes, recognised
from tests.support.waiting import until


def test_the_users_locustfile_runs_unchanged(
    site: Server, load: LocustLoad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")  # meant for pytest's process; here it would block the users
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ):  # requests, under HttpUser, would ask it for this machine, too
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "elsewhere.example")
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "flows.py").write_text("CHECKOUT = '/checkout'\n")
    file = tmp_path / "load" / "locustfile.py"
    file.write_text(
        textwrap.dedent(
            """
            from flows import CHECKOUT
            from locust import FastHttpUser, HttpUser, constant, events, task

            print("said while it is loaded")

            @events.init_command_line_parser.add_listener
            def _(parser):
                parser.add_argument("--shop-name", default="corner")

            @events.test_start.add_listener
            def began(environment, **_):
                print("began on", environment.host)

            class Web(HttpUser):
                host = "http://127.0.0.1:9"  # never this one
                wait_time = constant(0.05)

                def on_start(self):
                    self.client.post("/login", json={"shop": self.environment.parsed_options.shop_name})

                @task
                def look(self):
                    print("looking")
                    self.client.get("/status/404")
                    self.client.get("/stock", name="web stock", stream=True)
                    with self.client.get("/ok?item=1", name="item", catch_response=True) as response:
                        response.failure("its content is not what it should be")
                    with self.client.get("/status/404", name="rightly missing", catch_response=True) as response:
                        response.success()

                def on_stop(self):
                    self.client.post("/logout")

            class Fast(FastHttpUser):
                wait_time = constant(0.05)
                default_headers = {"x-own": "1"}

                @task
                def buy(self):
                    self.client.get(CHECKOUT)
                    self.client.get("/half")
                    self.client.get("/stock", name="fast stock")
                    self.environment.events.request.fire(
                        request_type="flow", name="buying", response_time=1, response_length=0, exception=None
                    )
            """
        )
    )
    spec = Load.model_validate({"locustfile": "../load/locustfile.py", "users": 4, "host": "shop.example"})
    base = tmp_path / "experiments"
    base.mkdir()
    begin(load, spec, site.url, base=base)
    found = collect(load, lambda seconds: len([s for s in seconds if s.sent]) >= 3)
    load.stop()
    assert outcomes(found) == {
        "POST /login": {(200, "")},
        "GET /status/404": {(404, "")},
        "web stock": {(200, "")},
        "fast stock": {(200, "")},
        "item": {(200, "")},
        "rightly missing": {(404, "")},
        "GET /checkout": {(200, "")},
        "GET /half": {(0, "incomplete answer")},
    }
    assert recognised(found) == {"web stock": {DEGRADED}, "fast stock": {DEGRADED}}
    assert "began on" in load.log(), "what it printed is kept for people"
    judged = {cell.request: cell.judged for second in found for cell in second.cells}
    assert {name: one for name, one in judged.items() if one is not None} == {"item": False, "rightly missing": True}
    assert all(second.intended == second.sent for second in found)
    assert {seen.headers["x-chaos-run"] for seen in site.seen} == {"k3x9q2ab"}
    assert {seen.headers["host"] for seen in site.seen} == {"shop.example"}
    assert {seen.headers["x-own"] for seen in site.seen if seen.path == "/checkout"} == {"1"}
    assert {json.loads(seen.body)["shop"] for seen in site.seen if seen.path == "/login"} == {"corner"}
    assert site.paths()["/login"] == site.paths()["/logout"] == 2


def test_the_runs_headers_survive_whatever_a_locustfile_does_to_its_clients(
    site: Server, load: LocustLoad, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            """
            import requests
            from locust import FastHttpUser, HttpUser, task
            from locust.contrib.fasthttp import FastHttpSession

            class Web(HttpUser):
                def on_start(self):
                    self.client.headers = {"x-own": "1"}

                @task
                def go(self):
                    self.client.get("/replaced", headers={"X-Chaos-Run": "mine"})
                    requests.Session().get(self.host + "/further")

            class Fast(FastHttpUser):
                def __init__(self, environment):
                    self.default_headers = {"x-own": "1"}
                    super().__init__(environment)

                @task
                def go(self):
                    self.client.get("/set", headers={"X-Chaos-Run": "mine"})
                    FastHttpSession(self.host, self.environment.events.request, self).get("/fast")
            """
        )
    )
    begin(load, Load(locustfile="mine.py", users=2, host="shop.example"), site.url, base=tmp_path)
    until(lambda: {"/replaced", "/further", "/set", "/fast"} <= set(site.paths()), within=20)
    load.stop()
    assert {(seen.headers["x-chaos-run"], seen.headers["host"]) for seen in site.seen} == {("k3x9q2ab", "shop.example")}
    assert {seen.path for seen in site.seen if seen.headers.get("x-own") == "1"} == {"/replaced", "/set"}


@pytest.mark.parametrize("kind", ["HttpUser", "FastHttpUser"])
def test_users_of_a_locustfile_that_wait_are_told(site: Server, load: LocustLoad, tmp_path: Path, kind: str) -> None:
    task = "self.client.get('/ok'); self.client.get('/silent', catch_response=True).__enter__()"
    text = f"import locust\nclass Web(locust.{kind}):\n    @locust.task\n    def wait(self): {task}\n"
    (tmp_path / "mine.py").write_text(text)
    begin(load, Load(locustfile="mine.py", users=2), site.url, base=tmp_path)
    found = collect(load, lambda seconds: any(len(second.waiting) == 2 for second in seconds))
    assert all(waited >= 1 for second in found for waited in second.waiting)
    assert outcomes(found) == {"GET /ok": {(200, "")}}, "those that wait are not counted"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no such file"),
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("import os\nlimit = int('many')\n", "line 2: ValueError: invalid literal for int()"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import locust\n", "no User class"),
        (
            "import locust\n@locust.events.init_command_line_parser.add_listener\n"
            "def _(parser): parser.add_argument('--shop', required=True)\n"
            "class Web(locust.HttpUser):\n    @locust.task\n    def go(self): pass\n",
            "the following arguments are required: --shop (a default",
        ),
    ],
)
def test_a_broken_locustfile_is_named_with_its_reason(
    load: LocustLoad, tmp_path: Path, text: str | None, reason: str
) -> None:
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(LoadError) as caught:
        begin(load, Load(locustfile="mine.py"), "http://127.0.0.1:9", base=tmp_path)
    assert reason in caught.value.message
    assert "mine.py" in caught.value.message
    assert "Traceback" not in str(caught.value)
    assert "locust -f" in str(caught.value.hint)


@pytest.mark.parametrize(("name", "told"), [("load", "got a folder"), ("a.py,b.py", "got several")])
def test_one_file_is_expected(load: LocustLoad, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "load").mkdir()
    with pytest.raises(LoadError, match=f"expected one file, {told}"):
        begin(load, Load(locustfile=name), "http://127.0.0.1:9", base=tmp_path)


@pytest.mark.parametrize(
    ("start", "go", "told"),
    [
        ("{}['token']", "pass", "a user died, so there are fewer than declared: {file}, line 4: KeyError: 'token'"),
        ("raise SystemExit('no token')", "pass", "fewer than declared: {file}, line 4: SystemExit: no token"),
        ("pass", "raise SystemExit(3)", "fewer than declared: {file}, line 6: SystemExit: 3"),
        ("pass", "raise locust.exception.StopUser", "a user has stopped by itself, so there are fewer than declared"),
        (
            "pass\n    def __init__(self, environment): raise OSError('no data')",
            "pass",
            "a user died, so there are fewer than declared: {file}, line 5: OSError: no data",
        ),
    ],
)
def test_users_that_end_are_told(
    site: Server, load: LocustLoad, tmp_path: Path, start: str, go: str, told: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        f"import locust\nclass Web(locust.FastHttpUser):\n    def on_start(self):\n        {start}\n"
        f"    @locust.task\n    def go(self): {go}\n"
    )
    begin(load, Load(locustfile="mine.py", users=2), site.url, base=tmp_path)
    until(lambda: load.failure() is not None)
    assert str(load.failure()).endswith(told.format(file=file))


def test_a_locustfile_that_ends_its_own_test_is_a_failure(site: Server, load: LocustLoad, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from locust import FastHttpUser, task\n"
        "class Web(FastHttpUser):\n"
        "    @task\n"
        "    def once(self):\n"
        "        self.client.get('/ok')\n"
        "        self.environment.runner.quit()\n"
    )
    begin(load, Load(locustfile="mine.py", users=1), site.url, base=tmp_path)
    until(lambda: load.failure() is not None)
    assert "mine.py ended the test by itself" in str(load.failure())


def test_no_secret_of_the_environment_or_the_entry_is_in_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SHOP_TOKEN", "CHAOS_PROMETHEUS", "READER"):
        monkeypatch.setenv(name, f"canary-{name}")
    (tmp_path / "mine.py").write_text(
        "import os, sys\n"
        "assert not {'READER', 'CHAOS_PROMETHEUS'} & os.environ.keys()\n"
        "raise OSError(f\"no login with {os.environ['SHOP_TOKEN']} at http://me:canary-pass@shop/?key=canary-key\")\n"
    )
    load = LocustLoad(hidden=["READER"])
    with pytest.raises(LoadError, match=r"OSError: no login with \*+ at http://\*+@shop/\?key=\*+") as caught:
        begin(load, Load(locustfile="mine.py"), "http://me:canary-pass@127.0.0.1:9", base=tmp_path)
    load.stop()
    assert "canary" not in str(caught.value)
