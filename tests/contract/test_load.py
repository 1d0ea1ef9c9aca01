"""The load generator as the port promises it: real Locust processes against a real server on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from chaos.adapters.locust_load import LocustLoad
from chaos.errors import LoadError
from chaos.model.experiment import Load, Request
from tests.contract.load_server import Server
from tests.contract.loads import DEGRADED, HEADERS, begin, collect, latencies, outcomes, recognised, requests, whole
from tests.support.certificates import certificate
from tests.support.processes import is_alive
from tests.support.tls_server import over_tls
from tests.support.waiting import until

# --- the open model ------------------------------------------------------------------------------------------------


def test_every_kind_of_answer_is_told_apart(site: Server, load: LocustLoad) -> None:
    spec = Load.model_validate(
        {
            "rate": 40,
            "host": "shop.example",
            "requests": [
                {"path": "/ok", "name": "fine"},
                {"path": "/status/503", "headers": {"Host": "other.example"}},
                {"path": "/status/404"},
                {"path": "/closed"},
                {"path": "/half"},
                {"path": "/redirect"},
                {"path": "/stock"},
                {"path": "/cookie"},
                {"method": "HEAD", "path": "/ok"},
                {
                    "method": "POST",
                    "path": "/orders",
                    "body": '{"n": "ü"}',
                    "headers": {"content-type": "application/json", "X-Chaos-Run": "mine"},
                },
            ],
        }
    )
    begin(load, spec, site.url)
    found = collect(load, lambda seconds: len(latencies(seconds)) >= 90)
    load.stop()
    assert outcomes(found) == {
        "fine": {(200, "")},
        "GET /status/503": {(503, "")},
        "GET /status/404": {(404, "")},
        "GET /closed": {(0, "connection closed")},
        "GET /half": {(0, "incomplete answer")},
        "GET /redirect": {(302, "")},
        "GET /stock": {(200, "")},
        "GET /cookie": {(200, "")},
        "HEAD /ok": {(200, "")},
        "POST /orders": {(200, "")},
    }
    assert recognised(found) == {"GET /stock": {DEGRADED}}
    assert {seen.headers["x-chaos-run"] for seen in site.seen} == {"k3x9q2ab"}
    hosts = {(seen.path == "/status/503", seen.headers["host"]) for seen in site.seen}
    assert hosts == {(False, "shop.example"), (True, "other.example")}
    order = next(seen for seen in site.seen if seen.method == "POST")
    assert (order.headers["content-type"], json.loads(order.body)) == ("application/json", {"n": "ü"})
    # One arrival is one request: not sent again where no answer came, no redirect followed, no cookie kept.
    counts = site.paths()
    assert "/followed" not in counts
    assert abs(counts["/closed"] - counts["/status/503"]) <= 1
    assert not [seen for seen in site.seen if "cookie" in seen.headers]


def test_the_rate_is_kept_evenly_by_weight_on_few_connections(site: Server, load: LocustLoad) -> None:
    spec = Load.model_validate(
        {"rate": 200, "requests": [{"path": "/often", "weight": 3}, {"path": "/seldom", "weight": 1}]}
    )
    begin(load, spec, site.url)
    found = whole(collect(load, lambda seconds: len([s for s in seconds if s.sent]) >= 6))
    load.stop()
    assert {second.intended for second in found} == {200}
    assert sum(second.sent for second in found) == pytest.approx(200 * len(found), rel=0.01)
    assert [second.at for second in found] == [found[0].at + i for i in range(len(found))]
    paths = [seen.path for seen in site.seen][:400]
    assert all(Counter(paths[at : at + 40])["/seldom"] in (9, 10, 11) for at in range(0, 400, 40))
    assert site.connections < len(site.seen) / 10
    arrived = [seen.at for seen in site.seen]
    assert abs(arrived[-1] - arrived[0] - (len(arrived) - 1) / 200) < 0.5


def test_times_are_those_of_the_wall_clock(site: Server, load: LocustLoad) -> None:
    begin(load, requests("/ok", rate=30), site.url)
    found = whole(collect(load, lambda seconds: len([s for s in seconds if s.sent]) >= 4))
    assert time.time() - 3 < found[-1].at + 1 <= time.time()
    for second in found:
        there = sum(second.at <= seen.at < second.at + 1 for seen in site.seen)
        assert abs(there - sum(cell.count for cell in second.cells)) <= 3


def test_a_stall_shows_in_every_arrival_that_was_intended_meanwhile(site: Server, load: LocustLoad) -> None:
    begin(load, requests("/ok", rate=50), site.url)
    found = collect(load, lambda seconds: len([s for s in seconds if s.sent]) >= 2)
    site.stalled_until = time.monotonic() + 2.0
    found += collect(load, lambda seconds: len(seconds) >= 4)
    took = latencies(found)
    # 100 arrivals were intended in the 2 s; they wait from 2 s down to nothing, evenly.
    assert len([ms for ms in took if ms > 1000]) == pytest.approx(50, abs=6)
    assert len([ms for ms in took if ms > 500]) == pytest.approx(75, abs=8)
    assert 1900 <= took[-1] <= 2400
    sent = [second.sent for second in whole(found)]
    assert min(sent) >= 25, "arrivals go on while nothing is answered"
    assert sum(sent) >= 40 * len(sent), (
        "those of a second may come in the next where the machine is busy; none is left out"
    )
    assert max(second.worst_lag for second in found) < 0.5


def test_what_the_generator_itself_was_late_with_is_told_apart(site: Server, load: LocustLoad) -> None:
    begin(load, requests("/ok", rate=50), site.url)
    found = collect(load, lambda seconds: len([s for s in seconds if s.sent]) >= 2)
    assert load.pid is not None
    os.kill(load.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(load.pid, signal.SIGCONT)
    found += collect(load, lambda seconds: len(seconds) >= 4)
    cells = [(cell, took, n) for second in found for cell in second.cells for took, n in cell.latencies.items()]
    # 75 arrivals were intended meanwhile; they are late from 1.5 s down to nothing, evenly.
    assert sum(n for cell, _, n in cells if cell.lag > 500) >= 44
    assert sum(n for _, took, n in cells if took > 1000) >= 20, "latency counts from the intended start"
    slow = [took for cell, took, _ in cells if took - cell.lag - cell.held > 700]
    assert slow == [], "the system was not slow"
    worst = max(found, key=lambda second: second.worst_lag)
    assert worst.worst_lag > 1.4
    assert worst.cpu is not None
    assert worst.cpu < 0.5, "it had no processor"


def test_without_an_answer_by_the_timeout_it_has_failed(site: Server, load: LocustLoad) -> None:
    begin(load, requests("/silent", "/drip", "/ok", rate=30, timeout="1500ms"), site.url)
    found = collect(load, lambda seconds: len([s for s in seconds if len(s.cells) == 3]) >= 2)
    assert outcomes(found) == {
        "GET /silent": {(0, "timeout")},
        "GET /drip": {(0, "timeout")},
        "GET /ok": {(200, "")},
    }
    gone = [ms for s in found for cell in s.cells if not cell.status for ms in cell.latencies]
    assert min(gone) >= 1500
    assert sorted(gone)[len(gone) // 2] < 1650


def test_an_entry_that_cannot_be_reached_is_not_an_error(load: LocustLoad) -> None:
    with Server() as gone:
        entry = gone.url
    begin(load, requests("/", rate=20), entry)
    found = collect(load, lambda seconds: len(latencies(seconds)) >= 10)
    assert outcomes(found) == {"GET /": {(0, "connection refused")}}
    assert load.failure() is None


def test_a_gateway_that_is_reached_by_an_address_is_told_the_host(load: LocustLoad, tmp_path: Path) -> None:
    with over_tls(tmp_path, "shop.example", certificate("an authority")) as (url, seen):
        begin(load, Load(rate=10, requests=[Request.get("/ok")], host="shop.example"), url)
        found = collect(load, lambda seconds: bool(latencies(seconds)))
    assert outcomes(found) == {"GET /ok": {(200, "")}}
    assert seen[:2] == ["sni shop.example", "Host: shop.example"]


# --- the process ---------------------------------------------------------------------------------------------------


def test_it_is_prepared_while_others_work_and_sends_only_from_its_start(site: Server, load: LocustLoad) -> None:
    before = time.monotonic()
    load.prepare(requests("/ok"), entry=site.url, headers=HEADERS, base=Path())
    assert time.monotonic() - before < 0.5
    assert load.failure() is None
    assert not site.seen
    load.start()
    until(lambda: site.seen)


def test_stopping_is_quick_and_may_be_repeated(site: Server, load: LocustLoad) -> None:
    begin(load, requests("/silent", rate=50), site.url)
    assert load.pid is not None
    until(lambda: len(site.seen) > 20)
    before = time.monotonic()
    load.stop()
    assert time.monotonic() - before < 2.5
    assert not is_alive(load.pid)
    assert load.failure() is None
    load.stop()
    assert not [cell for second in load.poll() for cell in second.cells], "what was not answered is not counted"


def test_stopping_before_the_start(load: LocustLoad) -> None:
    LocustLoad().stop()
    load.prepare(requests("/ok"), entry="http://127.0.0.1:9", headers=HEADERS, base=Path())
    assert load.pid is not None
    before = time.monotonic()
    load.stop()
    assert time.monotonic() - before < 2.5
    assert not is_alive(load.pid)


def test_it_has_a_session_of_its_own(load: LocustLoad) -> None:
    load.prepare(requests("/ok"), entry="http://127.0.0.1:9", headers=HEADERS, base=Path())
    assert load.pid is not None
    assert os.getsid(load.pid) == os.getpgid(load.pid) == load.pid != os.getsid(0)


def test_its_death_is_noticed(site: Server, load: LocustLoad) -> None:
    begin(load, requests("/ok"), site.url)
    until(lambda: site.seen)
    assert load.pid is not None
    os.kill(load.pid, signal.SIGKILL)
    until(lambda: load.failure() is not None)
    assert "SIGKILL" in str(load.failure())


def test_its_silence_is_noticed(site: Server) -> None:
    load = LocustLoad(silent=2.5)
    begin(load, requests("/ok"), site.url)
    collect(load, lambda seconds: len(seconds) >= 1)
    assert load.failure() is None
    assert load.pid is not None
    os.kill(load.pid, signal.SIGSTOP)
    until(lambda: load.failure() is not None)
    assert "nothing" in str(load.failure())
    load.stop()
    assert not is_alive(load.pid)


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_with_a_killed_harness(site: Server, tmp_path: Path, *, busy: bool) -> None:
    # Busy: a user that never lets go of the processor, so that no greenlet sees the end of stdin.
    (tmp_path / "mine.py").write_text(
        "from locust import FastHttpUser, task\n"
        "class Web(FastHttpUser):\n"
        "    @task\n"
        "    def once(self):\n"
        "        self.client.get('/ok')\n"
        f"        while {busy}: pass\n"
        "    def wait(self):\n"
        "        import gevent; gevent.sleep(0.05)\n"
    )
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from chaos.adapters.locust_load import LocustLoad
        from chaos.model.experiment import Load, Request
        load = LocustLoad()
        load.prepare(Load(locustfile="mine.py", users=1), entry=sys.argv[1], headers={}, base=Path(sys.argv[2]))
        load.start()
        print(load.pid, flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, site.url, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        until(lambda: site.seen)
        harness.kill()
    until(lambda: not is_alive(pid), within=5)


def test_a_driver_that_does_not_come_up_is_an_error() -> None:
    load = LocustLoad(driver="chaos.adapters.nowhere")
    load.prepare(requests("/ok"), entry="http://127.0.0.1:9", headers=HEADERS, base=Path())
    with pytest.raises(LoadError, match=r"No module named chaos\.adapters\.nowhere"):
        load.start()
    load.stop()
