"""What a process is given: what its user declares, the environment of its manifest, the names of services."""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chaos.errors import InputError, LabError
from chaos.lab import behaviours
from chaos.lab.api.resources import CONFIG_MAPS, SECRETS, Resource
from chaos.lab.containers import names
from chaos.lab.containers.directory import OTHERS, Directory, described
from chaos.lab.containers.environment import application, environment, not_mounted


def declared(folder: Path, text: str) -> behaviours.Behaviours:
    file = folder / "behaviours.yaml"
    file.write_text(text)
    return behaviours.read(file)


def test_paths_are_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    program = tmp_path / "orders" / "serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = declared(
        tmp_path,
        """
        order: {process: {command: [./serve, --fast], directory: orders, env: {A: "1"}, ports: {8080: 5000}}}
        stock: {process: {command: [sh]}}
        web: {routes: []}
        """,
    )
    order, stock = found.processes["order"], found.processes["stock"]
    assert order.command == (str(program), "--fast")
    assert order.directory == tmp_path / "orders"
    assert order.ports == {8080: 5000}
    assert stock.directory == tmp_path
    assert stock.command[0].endswith("/sh")
    assert list(found.standins) == ["web"]
    assert found.name_of("order-v2", {"app": "order"}) == "order"
    assert found.name_of("other", {}) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: {process: {command: python app.py}}", r"a\.process: command: expected a list of words"),
        ("a: {process: {command: []}}", r"a\.process: command: expected at least one word"),
        ("a: {process: {}}", r"a\.process: command: is missing"),
        ("a: {process: {command: [sh], port: 1}}", r"a\.process: port: unknown key"),
        ("a: {process: {command: [sh], env: {A: 1}}}", r"env\.A: expected a text \(numbers in quotes\)"),
        ("a: {process: {command: [sh], ports: {http: 1}}}", r"a\.process: ports"),
        ("a: {process: {command: [sh], directory: nowhere}}", r"a\.process\.directory: expected a folder, found none"),
        ("a: {process: {command: [no-such-program]}}", "found no 'no-such-program' on PATH"),
        ("a: {process: {command: [./none]}}", r"found no './none' in"),
        ("a: {process: {command: [sh]}, routes: []}", "expected either a process or what a stand-in does, got a process and routes"),
        ("a: {process: sh}", r"a\.process: the whole"),
        ("- a", "expected a mapping"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        declared(tmp_path, text)


def pod(**container: Any) -> dict[str, Any]:
    labels = {"app": "order", "version": "v1"}
    containers = [
        {"name": "istio-proxy"},
        {"name": "logger", "env": [{"name": "LOGS", "value": "1"}]},
        {"name": "app", "ports": [{"containerPort": 8080}], **container},
    ]
    return {
        "metadata": {"name": "order-1", "namespace": "shop", "labels": labels, "uid": "u"},
        "spec": {"nodeName": "lab", "containers": containers},
    }


def there(resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
    data = {"PASSWORD": b"s3cret", "STORE": b"\xfe\xed"}
    secret = {
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        "stringData": {"USER": "me"},
    }
    known = {(CONFIG_MAPS.kind, "colors"): {"data": {"RED": "1", "BLUE": "2"}}, (SECRETS.kind, "db"): secret}
    return known.get((resource.kind, name)) if namespace == "shop" else None


def variables(of: dict[str, Any], services: Sequence[dict[str, Any]] = ()) -> dict[str, str]:
    return environment(of, application(of, None)[0], "127.1.2.3", services=services, find=there)


def test_a_process_stands_for_one_container() -> None:
    several = pod(env=[{"name": "COLOR", "value": "red"}])
    assert application(several, None) == (several["spec"]["containers"][2], ())
    several["spec"]["containers"].insert(1, {"name": "nginx", "ports": [{"containerPort": 80}]})
    first, (remark,) = application(several, None)
    assert first["name"] == "nginx"
    assert remark.startswith("this process replaces the container nginx, the first one of nginx, logger, app")
    assert application(several, "app") == (several["spec"]["containers"][3], ())
    with pytest.raises(LabError, match="has no container 'web'"):
        application(several, "web")


def test_files_that_are_not_there_are_told() -> None:
    made = pod(volumeMounts=[{"name": "config", "mountPath": "/etc/shop"}, {"name": "logs", "mountPath": "/var/log"}])
    made["spec"]["volumes"] = [{"name": "config", "configMap": {"name": "colors"}}, {"name": "logs", "emptyDir": {}}]
    (told,) = not_mounted(made, made["spec"]["containers"][2])
    assert told.startswith("nothing is mounted at /etc/shop (ConfigMap colors): ")
    assert not list(not_mounted(made, made["spec"]["containers"][1]))


def test_the_environment_is_that_of_the_container() -> None:
    found = variables(
        pod(
            envFrom=[
                {"configMapRef": {"name": "colors"}, "prefix": "C_"},
                {"secretRef": {"name": "db"}},
                {"configMapRef": {"name": "none", "optional": True}},
            ],
            env=[
                {"name": "URL", "value": "http://stock:$(C_RED)/$(NOBODY)/$$(C_RED)"},
                {"name": "RED", "valueFrom": {"configMapKeyRef": {"name": "colors", "key": "RED"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "db", "key": "PASSWORD"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "db", "key": "NO", "optional": True}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "EMPTY"},
            ],
        ),
    )
    assert found == {
        "HOSTNAME": "order-1", "POD_NAME": "order-1", "POD_NAMESPACE": "shop", "POD_IP": "127.1.2.3",
        "C_RED": "1", "C_BLUE": "2", "PASSWORD": "s3cret", "STORE": os.fsdecode(b"\xfe\xed"), "USER": "me",
        "URL": "http://stock:1/$(NOBODY)/$(C_RED)", "RED": "1", "SECRET": "s3cret", "IP": "127.1.2.3", "APP": "order", "EMPTY": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "A"}}, "needs the ConfigMap shop/none, which is not there"),
        ({"secretKeyRef": {"name": "db", "key": "A"}}, "variable X: the Secret db has no key A"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "variable X: the lab does not have resourceFieldRef"),
        ({"fieldRef": {"fieldPath": "spec.priority"}}, "variable X: the lab does not have spec.priority"),
    ],
)
def test_what_the_environment_lacks_is_told(variable: dict[str, Any], told: str) -> None:
    with pytest.raises(LabError, match=told):
        variables(pod(env=[{"name": "X", "valueFrom": variable}]))


def test_the_environment_says_where_services_are() -> None:
    ports = [{"name": "http-web", "port": 80}, {"port": 90, "protocol": "UDP"}]
    services = [
        {"metadata": {"name": "stock-svc"}, "spec": {"clusterIP": "10.96.0.5", "ports": ports}},
        {"metadata": {"name": "heads"}, "spec": {"clusterIP": "None", "ports": ports}},
    ]
    own = pod(env=[{"name": "STOCK", "value": "http://$(STOCK_SVC_SERVICE_HOST):$(STOCK_SVC_SERVICE_PORT)"}])
    found = variables(own, services)
    assert found["STOCK"] == "http://10.96.0.5:80"
    assert {name: value for name, value in found.items() if name.startswith("STOCK_SVC")} == {
        "STOCK_SVC_SERVICE_HOST": "10.96.0.5", "STOCK_SVC_SERVICE_PORT": "80", "STOCK_SVC_SERVICE_PORT_HTTP_WEB": "80",
        "STOCK_SVC_PORT": "tcp://10.96.0.5:80",
        "STOCK_SVC_PORT_80_TCP": "tcp://10.96.0.5:80", "STOCK_SVC_PORT_80_TCP_PROTO": "tcp",
        "STOCK_SVC_PORT_80_TCP_PORT": "80", "STOCK_SVC_PORT_80_TCP_ADDR": "10.96.0.5",
        "STOCK_SVC_PORT_90_UDP": "udp://10.96.0.5:90", "STOCK_SVC_PORT_90_UDP_PROTO": "udp",
        "STOCK_SVC_PORT_90_UDP_PORT": "90", "STOCK_SVC_PORT_90_UDP_ADDR": "10.96.0.5",
    }  # fmt: skip
    assert not any(name.startswith("HEADS") for name in found)
    own["spec"]["enableServiceLinks"] = False
    assert "STOCK_SVC_PORT" not in variables(own, services)


# -- names ------------------------------------------------------------------------------------------------------------


def service(name: str, *, ip: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"clusterIP": ip, "ports": [{"port": 80}, {"name": "redis", "port": 6379}]},
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    services = [service("stock", ip="10.96.0.5"), service("heads", ip="None"), service("young", ip="")]
    entry = {"spec": {"hosts": ["API.example.com"]}}
    path = tmp_path / "services.json"
    path.write_text(
        described(
            services,
            [entry],
            {
                "stock.shop:80": ["127.1.1.1:8080"],
                "heads.shop:80": ["127.1.1.2:8080", "127.1.1.3:8080"],
                "heads-0.heads.shop:80": ["127.1.1.2:8080"],
            },
        )
    )
    return path


def test_names_as_a_pod_may_write_them(file: Path) -> None:
    find = names.within("shop", Directory(file, proxied=True).addresses)
    for name in ("stock", "stock.shop", "stock.shop.svc", "stock.shop.svc.cluster.local"):
        assert find(name) == ["10.96.0.5"]
    assert find("heads") == find("api.example.com") == [OTHERS]
    assert find("young") is None
    assert find("stock.corp.example") is None
    assert names.within("elsewhere", Directory(file, proxied=True).addresses)("stock") is None
    assert names.within("shop", Directory(file, proxied=False).addresses)("heads") == ["127.1.1.2", "127.1.1.3"]


def test_a_pod_of_a_headless_service_has_a_name(file: Path) -> None:
    find = names.within("shop", Directory(file, proxied=True).addresses)
    for name in ("heads-0.heads", "heads-0.heads.shop", "heads-0.heads.shop.svc.cluster.local"):
        assert find(name) == [OTHERS]
        assert names.within("shop", Directory(file, proxied=False).addresses)(name) == ["127.1.1.2"]
    assert find("heads-7.heads") is None
    assert names.within("elsewhere", Directory(file, proxied=True).addresses)("heads-0.heads") is None


def test_the_file_is_read_again_when_it_has_changed(file: Path) -> None:
    known = Directory(file, proxied=True)
    assert known.endpoints("10.96.0.5:80") == ["127.1.1.1:8080"]
    assert (known.tcp("10.96.0.5:80"), known.tcp("10.96.0.5:6379")) == ("", "stock.shop:6379")
    file.write_text(json.dumps({"names": {}, "headless": {}, "endpoints": {}, "tcp": {}}))
    os.utime(file, ns=(1, 1))
    assert known.endpoints("10.96.0.5:80") == ()


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def test_dns_answers() -> None:
    known = {"stock": ["10.96.0.5", "10.96.0.6"], "other": []}
    reply = names.answer(question("STOCK"), known.get)
    assert reply is not None
    assert struct.unpack_from("!6H", reply) == (77, 0x8500, 1, 2, 0, 0)
    assert reply.endswith(bytes([10, 96, 0, 6]))
    nobody = names.answer(question("nobody"), known.get)
    assert nobody is not None
    assert nobody[3] & 0xF == 3, "no such name"
    of_ipv6 = names.answer(question("stock", kind=28), known.get)
    assert of_ipv6 is not None
    assert struct.unpack_from("!6H", of_ipv6) == (77, 0x8500, 1, 0, 0, 0), "there, but without such an address"


@pytest.mark.parametrize(
    "packet", [b"", b"\0" * 11, question("stock")[:-3], b"\0\1\x80" + question("a")[3:], b"\xff" * 40]
)
def test_what_is_no_question_has_no_answer(packet: bytes) -> None:
    assert names.answer(packet, lambda _: ["10.96.0.5"]) is None
