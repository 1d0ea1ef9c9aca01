"""How containers live, with real processes: their sockets, names, signals, restarts and probes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chaos.lab.addresses import free_port
from chaos.lab.containers import container as containers
from chaos.lab.containers import probes
from chaos.lab.containers.container import Container
from chaos.lab.containers.directory import described
from chaos.lab.containers.init import Order
from chaos.lab.containers.probes import Probe, Probes
from chaos.lab.processes import start_time

PORT = 8080
SERVER = """
import http.server, os, sys

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/end":
            os._exit(3)
        status = 503 if os.path.exists("ill") and self.path == "/healthy" else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(os.environ.get("COLOR", "").encode())

print("serves", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Answers).serve_forever()
"""


class Made:
    """One container, and what it is at."""

    def __init__(self, folder: Path, *arguments: str, ip: str, program: str | None = None, grace: float = 5) -> None:
        (folder / "services.json").write_text(
            described(
                [
                    {
                        "metadata": {"name": "stock", "namespace": "shop"},
                        "spec": {"clusterIP": "10.96.0.5", "ports": [{"port": 80}]},
                    }
                ],
                [],
                {},
            )
        )
        self.ip, self.port = ip, free_port(ip)
        ports = {PORT: self.port}
        order = Order(
            command=[program or sys.executable, *arguments],
            folder=str(folder),
            env={"COLOR": "green", "PATH": os.defpath},
            namespace="shop",
            ip=ip,
            ports=ports,
            proxy=15001,
            services=str(folder / "services.json"),
            grace=grace,
        )
        self.container = Container(
            "shop/order",
            order,
            Probes(ip, ports),
            folder=folder,
            logs=folder,
            changed=lambda: None,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    async def get(self, path: str) -> tuple[int, bytes]:
        def ask() -> tuple[int, bytes]:
            with contextlib.closing(http.client.HTTPConnection(self.ip, self.port, timeout=5)) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()

        return await asyncio.to_thread(ask)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def living(made: Made, work: Callable[[Made], Awaitable[None]]) -> None:
    """Runs the work while the container lives, and ends it."""

    async def whole() -> None:
        made.container.begin()
        try:
            await work(made)
        finally:
            await made.container.end(grace=False)
        assert not made.container.alive

    asyncio.run(whole())


def test_it_serves_at_its_pods_address_and_is_ready_when_it_does(tmp_path: Path) -> None:
    async def work(made: Made) -> None:
        await until(lambda: made.container.ready)
        assert await made.get("/") == (200, b"green")
        status = made.container.status()
        assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
        assert "running" in status["state"]

    living(Made(tmp_path, "-c", SERVER, ip="127.13.1.1"), work)


ALSO_LOCALLY = """
import ctypes, os, threading, urllib.request
print("io_uring:", ctypes.CDLL(None, use_errno=True).syscall(425, 1, 0), os.strerror(ctypes.get_errno()), flush=True)

def look():
    debug = http.server.HTTPServer(("127.0.0.1", 6060), Answers)
    threading.Thread(target=debug.serve_forever, daemon=True).start()
    print("asks itself:", urllib.request.urlopen("http://localhost:6060/").status, flush=True)

import http.server
""" + SERVER.replace('print("serves"', 'look(); print("serves"')


def test_two_replicas_bind_the_same_ports(tmp_path: Path) -> None:
    async def both() -> None:
        made = []
        for at in (1, 2):
            folder = tmp_path / str(at)
            folder.mkdir()
            made.append(Made(folder, "-c", ALSO_LOCALLY, ip=f"127.13.2.{at}"))
            made[-1].container.begin()
        try:
            await until(lambda: all(one.container.ready for one in made))
            assert [(await one.get("/"))[0] for one in made] == [200, 200]
            for one in made:
                said = one.container.log.read_text()
                assert "io_uring: -1 Function not implemented" in said, "else it could go round its sidecar"
                assert "asks itself: 200" in said
        finally:
            await asyncio.gather(*(one.container.end(grace=False) for one in made))

    asyncio.run(both())


def test_a_port_on_which_nothing_listens_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PATIENCE", 0.1)

    async def work(made: Made) -> None:
        await until(lambda: made.container.ready)
        assert "lab: nothing listens on 9090, which its container or a Service declares" in made.container.words()

    made = Made(tmp_path, "-c", SERVER, ip="127.13.12.1")
    made.container._probes = Probes(made.ip, {PORT: made.port, 9090: free_port(made.ip)})
    living(made, work)


def test_one_that_listens_where_nobody_comes_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "ELSEWHERE", 0.0)

    async def work(made: Made) -> None:
        await until(lambda: made.container.stuck)
        assert made.container.stuck.startswith(
            "lab: this process listens on port 9000, which its container does not declare"
        )
        assert "ports: {8080: 9000}" in made.container.stuck

    living(Made(tmp_path, "-c", SERVER.replace("8080", "9000"), ip="127.13.14.1"), work)


LOOKS = """
import socket
print(socket.gethostbyname("stock"), socket.gethostbyname("stock.shop.svc.cluster.local"))
for name in ("nobody", "nobody.example"):
    try:
        print(socket.gethostbyname(name))
    except OSError as error:
        print(name, "is not known")
sidecar = socket.create_server(("127.13.3.1", 15001))
connected = socket.create_connection(("stock", 80))
print(connected.getpeername())
try:
    socket.create_connection(("192.0.2.1", 443), timeout=5)
except OSError as error:
    print(error.strerror)
"""


def test_it_finds_services_and_reaches_its_sidecar_and_no_other_machine(tmp_path: Path) -> None:
    async def work(made: Made) -> None:
        await until(lambda: made.container.previous_log)
        assert made.container.previous_log is not None
        lines = made.container.previous_log.read_text().splitlines()
        assert lines[0] == "10.96.0.5 10.96.0.5"
        assert lines[1:3] == ["nobody is not known", "nobody.example is not known"]
        assert lines[3] == "('127.13.3.1', 15001)"
        assert "Network is unreachable" in lines
        assert any(line.startswith("lab: this process can't connect to 192.0.2.1:443") for line in lines)

    living(Made(tmp_path, "-u", "-c", LOOKS, ip="127.13.3.1"), work)


def test_it_is_started_again_and_waits_longer_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "FIRST_BACK_OFF", 0.2)

    async def work(made: Made) -> None:
        await until(lambda: made.container.stuck)
        status = made.container.status()
        assert status["restartCount"] == 2
        assert status["lastState"]["terminated"]["exitCode"] == 7
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert (
            "ended 3 times and was never ready, the last time with exit code 7: comes\nand goes" in made.container.stuck
        )
        assert made.container.log == made.container.previous_log == tmp_path / "process-shop-order.2.log"
        assert not (tmp_path / "process-shop-order.0.log").exists(), "only the last two are kept"

    living(Made(tmp_path, "-c", "print('comes'); print('and goes'); raise SystemExit(7)", ip="127.13.4.1"), work)


def test_it_comes_back_after_a_crash(tmp_path: Path) -> None:
    async def work(made: Made) -> None:
        await until(lambda: made.container.ready)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            await made.get("/end")
        await until(lambda: made.container.restarts == 1 and made.container.ready)
        assert await made.get("/") == (200, b"green")
        assert made.container.status()["lastState"]["terminated"] | {"startedAt": "", "finishedAt": ""} == {
            "exitCode": 3, "reason": "Error", "startedAt": "", "finishedAt": "",
        }  # fmt: skip
        assert "serves" in made.container.log.read_text()

    living(Made(tmp_path, "-c", SERVER, ip="127.13.5.1"), work)


def test_what_can_not_be_started_says_why(tmp_path: Path) -> None:
    async def work(made: Made) -> None:
        await until(lambda: made.container.status().get("lastState"))
        assert made.container.status()["lastState"]["terminated"]["exitCode"] == 127
        assert "can't be started in" in made.container.words()
        assert "Permission denied" in made.container.words()

    living(Made(tmp_path, program=str(tmp_path), ip="127.13.6.1"), work)


STAYS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("asked to end", flush=True))
below = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(100)"])
print(below.pid, flush=True)
time.sleep(0.01)
while True:
    time.sleep(100)
"""


@pytest.mark.parametrize("grace", [True, False])
def test_all_that_it_has_started_ends_with_it(tmp_path: Path, grace: bool) -> None:
    async def work() -> None:
        made = Made(tmp_path, "-c", STAYS, ip="127.13.7.1", grace=1)
        made.container.begin()
        await until(lambda: made.container.begun and made.container.log.read_text().strip())
        below = int(made.container.log.read_text().splitlines()[0])
        assert start_time(below) is not None
        await made.container.end(grace=grace)
        assert start_time(below) is None
        assert ("asked to end" in made.container.log.read_text()) is grace

    asyncio.run(work())


def test_a_process_that_ends_when_asked_has_its_time(tmp_path: Path) -> None:
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0))); print('up', flush=True); signal.pause()"

    async def work() -> None:
        made = Made(tmp_path, "-c", code, ip="127.13.8.1", grace=30)
        made.container.begin()
        await until(lambda: made.container.begun and "up" in made.container.log.read_text())
        await asyncio.wait_for(made.container.end(grace=True), 10)
        assert made.container.log.read_text() == "up\nbye\n"

    asyncio.run(work())


# -- probes -----------------------------------------------------------------------------------------------------------


def test_readiness_comes_and_goes_with_its_probe(tmp_path: Path) -> None:
    ip = "127.13.9.1"

    async def work(made: Made) -> None:
        await until(lambda: made.container.ready)
        (tmp_path / "ill").touch()
        await until(lambda: not made.container.ready)
        (tmp_path / "ill").unlink()
        await until(lambda: made.container.ready)
        assert made.container.restarts == 0

    made = Made(tmp_path, "-c", SERVER, ip=ip)
    made.container._probes = Probes(ip, {PORT: made.port}, readiness=Probe(PORT, "/healthy", period=0.05, failures=2))
    living(made, work)


def test_a_container_that_is_not_alive_is_started_again(tmp_path: Path) -> None:
    ip = "127.13.10.1"

    async def work(made: Made) -> None:
        await until(lambda: made.container.ready)
        (tmp_path / "ill").touch()
        await until(lambda: made.container.restarts == 1)
        assert made.container.previous_log is not None
        assert made.container.previous_log.read_text().endswith("lab: the livenessProbe failed: it is started again\n")

    made = Made(tmp_path, "-c", SERVER, ip=ip)
    made.container._probes = Probes(
        ip,
        {PORT: made.port},
        startup=Probe(PORT, period=0.05, failures=200),
        liveness=Probe(PORT, "/healthy", period=0.05, failures=2),
    )
    living(made, work)


def test_probes_of_manifests() -> None:
    http_get = {
        "httpGet": {"path": "ready", "port": "web", "httpHeaders": [{"name": "A", "value": "b"}]},
        "periodSeconds": 3,
    }
    container = {
        "readinessProbe": http_get,
        "livenessProbe": {"exec": {"command": ["true"]}},
        "startupProbe": {"grpc": {"port": 50051}, "failureThreshold": 30},
    }
    found = Probes.of(container, "127.1.1.1", {8080: 1}, {"web": 8080})
    assert found.readiness == Probe(8080, "/ready", headers={"A": "b"}, period=3)
    assert found.startup == Probe(50051, failures=30)
    assert found.liveness is None
    assert found.remarks == (
        "the startupProbe asks over gRPC; here it looks whether the port is open",
        "the livenessProbe runs a command of the image, which is not here, and is left out",
    )


ON_ALL = """
import asyncio

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nhere")
    writer.close()

async def serve():
    async with await asyncio.start_server(answer, None, 8080) as server:
        await server.serve_forever()

asyncio.run(serve())
"""


def test_a_program_that_asks_the_c_library_where_to_listen(tmp_path: Path) -> None:
    """It listens on all addresses of IPv4, and of IPv6 by a socket of its own."""

    async def work(made: Made) -> None:
        await until(lambda: made.container.ready or made.container.restarts)
        assert await made.get("/") == (200, b"here")
        assert made.container.restarts == 0

    living(Made(tmp_path, "-c", ON_ALL, ip="127.13.13.1"), work)


NODE = """
require("http").createServer((request, answer) => answer.end("node")).listen(8080);
require("dns").lookup("stock", (error, address) => console.log(error || address));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_program_of_node(tmp_path: Path) -> None:
    """It listens on IPv6 and IPv4 at once."""

    async def work(made: Made) -> None:
        await until(lambda: made.container.ready)
        assert await made.get("/") == (200, b"node")
        await until(lambda: made.container.log.read_text() == "10.96.0.5\n")

    living(Made(tmp_path, "-e", NODE, program=shutil.which("node"), ip="127.13.11.1"), work)
