"""Mutual TLS, identities, authorization, TLS at the gateway, hosts outside the mesh and scopes, with the lab's real sidecars."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from chaos.lab.state import LabState
from tests.e2e.kinds import whole
from tests.support import loopback
from tests.support.certificates import certificate, pem
from tests.support.labs import own_lab
from tests.support.waiting import until

pytestmark = pytest.mark.lab
NETWORKING, SECURITY = "apis/networking.istio.io/v1", "apis/security.istio.io/v1"
STOCK = "http://inventory-svc:8080/stock/1"
ORDERS_IDENTITY = "spiffe://cluster.local/ns/staging/sa/order-svc"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    with own_lab(tmp_path_factory.mktemp("labs"), "security") as made:
        yield made


@pytest.fixture
def write(lab: LabState) -> Iterator[Callable[..., None]]:
    """Creates objects, ``write(group, plural, name, spec)``, and takes all away again."""
    written: list[str] = []

    def create(
        group: str, plural: str, name: str, spec: Mapping[str, Any] | None, *, namespace: str = "staging", **more: Any
    ) -> None:
        path = f"{lab.api}/{group}/namespaces/{namespace}/{plural}"
        obj = {"metadata": {"name": name}, **({} if spec is None else {"spec": spec}), **more}
        answer = loopback.post(path, json=whole(path, obj))
        assert answer.status_code == 201, answer.text
        written.append(f"{path}/{name}")

    yield create
    for path in reversed(written):
        assert loopback.delete(path).status_code == 200


def pod(lab: LabState, app: str, namespace: str = "staging") -> dict[str, Any]:
    pods = loopback.get(f"{lab.api}/api/v1/namespaces/{namespace}/pods", params={"labelSelector": f"app={app}"}).json()
    found: dict[str, Any] = pods["items"][0]
    return found


@contextlib.contextmanager
def application(lab: LabState, app: str, namespace: str = "staging") -> Iterator[httpx.Client]:
    """What an application in this pod sends goes through its sidecar."""
    proxy = f"http://{pod(lab, app, namespace)['status']['podIP']}:15001"
    with loopback.Client(proxy=proxy, timeout=10) as client:
        yield client


@pytest.fixture
def orders(lab: LabState) -> Iterator[httpx.Client]:
    with application(lab, "order-svc") as client:
        yield client


@pytest.fixture
def users(lab: LabState) -> Iterator[httpx.Client]:
    with application(lab, "user-svc") as client:
        yield client


def code(client: httpx.Client, url: str = STOCK, method: str = "GET") -> int:
    return client.request(method, url).status_code


def plain(lab: LabState, app: str = "inventory-svc", path: str = "/stock/1") -> int | None:
    """Asks a pod's port without a sidecar, and so without TLS; ``None`` where the connection is refused."""
    try:
        return loopback.get(f"http://{pod(lab, app)['status']['podIP']}:8080{path}").status_code
    except httpx.TransportError:
        return None


def counted(lab: LabState, **labels: str) -> float:
    query = ",".join(f'{key}="{value}"' for key, value in labels.items())
    answer = loopback.get(
        f"{lab.prometheus}/api/v1/query", params={"query": f"sum(istio_requests_total{{{query}}})"}
    ).json()
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


class TestMutualTls:
    def test_sidecars_speak_it_to_each_other_and_name_their_identities(
        self, lab: LabState, orders: httpx.Client
    ) -> None:
        labels = {
            "reporter": "destination", "destination_workload": "inventory-svc", "source_principal": ORDERS_IDENTITY,
            "connection_security_policy": "mutual_tls",
            "destination_principal": "spiffe://cluster.local/ns/staging/sa/inventory-svc",
        }  # fmt: skip
        before = counted(lab, **labels)
        assert [code(orders) for _ in range(10)] == [200] * 10
        until(lambda: counted(lab, **labels) == before + 10)

    def test_strict_refuses_plain_text_and_permissive_takes_it(
        self, lab: LabState, write: Callable[..., None], orders: httpx.Client
    ) -> None:
        assert plain(lab) == 200
        write(SECURITY, "peerauthentications", "default", {"mtls": {"mode": "STRICT"}}, namespace="istio-system")
        until(lambda: plain(lab) is None)
        assert code(orders) == 200
        write(SECURITY, "peerauthentications", "open", {"mtls": {"mode": "PERMISSIVE"}})
        until(lambda: plain(lab) == 200)
        selected = {"selector": {"matchLabels": {"app": "inventory-svc"}}}
        write(SECURITY, "peerauthentications", "closed", {**selected, "mtls": {"mode": "STRICT"}})
        until(lambda: plain(lab) is None)
        assert plain(lab, "payment-svc", "/payments/1") is not None

    def test_where_a_port_takes_none_the_callers_send_plain_text(
        self, lab: LabState, write: Callable[..., None], orders: httpx.Client
    ) -> None:
        labels = {
            "reporter": "destination",
            "destination_workload": "inventory-svc",
            "connection_security_policy": "none",
        }
        selected = {"selector": {"matchLabels": {"app": "inventory-svc"}}, "mtls": {"mode": "STRICT"}}
        write(SECURITY, "peerauthentications", "ports", {**selected, "portLevelMtls": {"8080": {"mode": "DISABLE"}}})
        before = counted(lab, **labels)
        until(lambda: code(orders) == 200 and counted(lab, **labels) > before)

    def test_a_rule_that_forbids_it_meets_strict(self, write: Callable[..., None], orders: httpx.Client) -> None:
        write(SECURITY, "peerauthentications", "default", {"mtls": {"mode": "STRICT"}})
        spec = {"host": "payment-svc", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
        write(NETWORKING, "destinationrules", "payment-plain", spec)
        until(lambda: code(orders, "http://payment-svc:8080/payments/1") == 503)

    def test_certificates_are_renewed_while_requests_flow(self, lab: LabState, orders: httpx.Client) -> None:
        where = f"http://{pod(lab, 'inventory-svc')['status']['podIP']}:15000/certs"

        def serials() -> set[str]:
            certificates = loopback.get(where).json()["certificates"]
            return {
                chain["serial_number"]
                for one in certificates
                for chain in one.get("cert_chain", ())
                if any("inventory-svc" in name.get("uri", "") for name in chain["subject_alt_names"])
            }

        codes: list[int] = []

        def renewed(old: set[str]) -> bool:
            codes.append(code(orders))
            return not serials() & old

        for _ in range(3):
            old = serials()
            assert len(old) == 1
            control = loopback.post(f"{lab.api}/lab/control-plane", json={"certificates": "rotate"})
            assert control.status_code == 200
            until(partial(renewed, old))
            codes += [code(orders) for _ in range(20)]
        assert set(codes) == {200}


def allow(*rules: Mapping[str, Any], app: str = "inventory-svc", action: str = "ALLOW") -> dict[str, Any]:
    return {"selector": {"matchLabels": {"app": app}}, "action": action, "rules": list(rules)}


class TestAuthorization:
    def test_deny_all_then_one_caller_and_one_path_as_the_guide_has_it(
        self, write: Callable[..., None], orders: httpx.Client, users: httpx.Client
    ) -> None:
        write(SECURITY, "authorizationpolicies", "deny-all", {})
        until(lambda: code(orders) == 403)
        source = {"source": {"principals": ["cluster.local/ns/staging/sa/order-svc"]}}
        operation = {"operation": {"methods": ["GET"], "paths": ["/stock/*"]}}
        write(SECURITY, "authorizationpolicies", "inventory", allow({"from": [source], "to": [operation]}))
        until(lambda: code(orders) == 200)
        assert code(orders, method="POST") == 403
        assert code(orders, "http://inventory-svc:8080/healthz") == 403
        assert code(users) == 403
        assert code(orders, "http://payment-svc:8080/payments/1") == 403

    def test_a_fault_opens_no_hole(
        self, lab: LabState, write: Callable[..., None], orders: httpx.Client, users: httpx.Client
    ) -> None:
        source = {"source": {"principals": ["cluster.local/ns/staging/sa/order-svc"]}}
        write(SECURITY, "authorizationpolicies", "inventory", allow({"from": [source]}))
        until(lambda: code(users) == 403)
        fault = {"abort": {"percentage": {"value": 50}, "httpStatus": 500}}
        route = {"fault": fault, "route": [{"destination": {"host": "inventory-svc"}}]}
        write(NETWORKING, "virtualservices", "faulted", {"hosts": ["inventory-svc"], "http": [route]})
        until(lambda: code(orders) == 500)
        until(lambda: code(users) == 500)  # its proxy has the fault, too
        assert {code(users) for _ in range(40)} == {403, 500}
        assert plain(lab) == 403, "without an identity nobody is allowed"

    def test_deny_comes_before_allow(
        self, write: Callable[..., None], orders: httpx.Client, users: httpx.Client
    ) -> None:
        write(SECURITY, "authorizationpolicies", "all", allow({}))
        only = {"to": [{"operation": {"notPaths": ["/stock/1"]}}]}
        write(SECURITY, "authorizationpolicies", "never", allow(only, action="DENY"))
        until(lambda: code(orders, "http://inventory-svc:8080/stock/2") == 403)
        assert code(orders) == 200
        from_users = {"from": [{"source": {"principals": ["*/sa/user-svc"]}}]}
        write(SECURITY, "authorizationpolicies", "nor-users", allow(from_users, action="DENY"))
        until(lambda: code(users) == 403)
        assert code(orders) == 200

    @pytest.mark.parametrize(
        ("rule", "by_orders", "by_users"),
        [
            ({"from": [{"source": {"namespaces": ["staging"]}}]}, 200, 200),
            ({"from": [{"source": {"namespaces": ["prod*"]}}]}, 403, 403),
            ({"from": [{"source": {"notPrincipals": ["cluster.local/ns/staging/sa/user-svc"]}}]}, 200, 403),
            ({"from": [{"source": {"serviceAccounts": ["order-svc"]}}]}, 200, 403),
            ({"from": [{"source": {"serviceAccounts": ["staging/user-svc", "other/x"]}}]}, 403, 200),
            ({"from": [{"source": {"ipBlocks": ["127.0.0.0/8"]}}]}, 200, 200),
            ({"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}, 403, 403),
            ({"to": [{"operation": {"ports": ["8080"]}}]}, 200, 200),
            ({"to": [{"operation": {"ports": ["9090"]}}]}, 403, 403),
            ({"to": [{"operation": {"hosts": ["Inventory-svc:8080"]}}]}, 200, 200),
            ({"to": [{"operation": {"methods": ["GET", "HEAD"], "notPaths": ["/stock/1"]}}]}, 403, 403),
            ({"when": [{"key": "request.headers[x-tier]", "values": ["gold*"]}]}, 403, 403),
            ({"when": [{"key": "source.principal", "notValues": ["*/sa/user-svc"]}]}, 200, 403),
            ({"when": [{"key": "destination.port", "values": ["8080"]}]}, 200, 200),
        ],
    )  # fmt: skip
    def test_every_kind_of_condition(
        self, write: Callable[..., None], orders: httpx.Client, users: httpx.Client, rule: dict[str, Any],
        by_orders: int, by_users: int,
    ) -> None:  # fmt: skip
        write(SECURITY, "authorizationpolicies", "one", allow(rule))
        until(lambda: (code(orders), code(users)) == (by_orders, by_users))

    def test_a_header_is_a_condition(self, write: Callable[..., None], orders: httpx.Client) -> None:
        write(
            SECURITY, "authorizationpolicies", "gold",
            allow({"when": [{"key": "request.headers[x-tier]", "values": ["gold*"]}]}),
        )  # fmt: skip
        until(lambda: code(orders) == 403)
        assert orders.get(STOCK, headers={"x-tier": "golden"}).status_code == 200
        assert orders.get(STOCK, headers={"x-tier": "silver"}).status_code == 403


def encoded(**data: str) -> dict[str, str]:
    return {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}


class TestGatewayTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, Path]:
        root, key = certificate("the tests' authority")
        file = tmp_path / "root.pem"
        file.write_text(pem(root, key)[0])
        return root, key, file

    def ask(
        self, lab: LabState, host: str, port: int, root: Path, path: str = "/orders/1", **more: Any
    ) -> httpx.Response:
        context = ssl.create_default_context(cafile=str(root))
        if more.get("own"):
            context.load_cert_chain(*map(str, more["own"]))
        with loopback.Client(verify=context, timeout=5) as client:
            url = f"https://{pod(lab, 'shop-gateway')['status']['podIP']}:{port}{path}"
            return client.get(url, headers={"host": host}, extensions={"sni_hostname": host})

    def test_it_ends_tls_by_name_and_redirects_plain_http(
        self, lab: LabState, write: Callable[..., None], authority: Any, tmp_path: Path
    ) -> None:
        root, key, file = authority
        for name, host in (("shop-cert", "*.shop.example"), ("other-cert", "other.example")):
            chain, private = pem(*certificate(host, authority=(root, key)))
            write(
                "api/v1", "secrets", name, None, type="kubernetes.io/tls", data=encoded(tls_crt=chain, tls_key=private)
            )
        servers = [
            {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*.shop.example"],
             "tls": {"mode": "SIMPLE", "credentialName": "shop-cert", "minProtocolVersion": "TLSV1_2"}},
            {"port": {"number": 8443, "name": "https-other", "protocol": "HTTPS"}, "hosts": ["other.example"],
             "tls": {"mode": "SIMPLE", "credentialName": "other-cert"}},
            {"port": {"number": 8081, "name": "http-shop", "protocol": "HTTP"}, "hosts": ["*.shop.example"],
             "tls": {"httpsRedirect": True}},
        ]  # fmt: skip
        selector = {"istio": "ingressgateway", "gateway": "shop-staging"}
        write(NETWORKING, "gateways", "tls", {"selector": selector, "servers": servers})
        answers = [{"match": [{"uri": {"prefix": "/"}}], "directResponse": {"status": 200, "body": {"string": "shop"}}}]
        spec = {"hosts": ["a.shop.example"], "gateways": ["tls"], "http": answers}
        write(NETWORKING, "virtualservices", "tls", spec)
        other = [{"directResponse": {"status": 200, "body": {"string": "other"}}}]
        spec = {"hosts": ["other.example"], "gateways": ["tls"], "http": other}
        write(NETWORKING, "virtualservices", "tls-other", spec)
        until(lambda: self.ask(lab, "a.shop.example", 8443, file).text == "shop", tolerate=(httpx.TransportError,))
        assert self.ask(lab, "other.example", 8443, file).text == "other"
        with pytest.raises(httpx.ConnectError):
            self.ask(lab, "nobody.example", 8443, file)
        url = f"http://{pod(lab, 'shop-gateway')['status']['podIP']}:8081/orders/1?x=2"
        told = loopback.get(url, headers={"host": "a.shop.example"})
        assert (told.status_code, told.headers["location"]) == (301, "https://a.shop.example/orders/1?x=2")

    def test_it_asks_for_the_clients_certificate(
        self, lab: LabState, write: Callable[..., None], authority: Any, tmp_path: Path
    ) -> None:
        root, key, file = authority
        chain, private = pem(*certificate("m.example", authority=(root, key)))
        data = encoded(tls_crt=chain, tls_key=private, ca_crt=file.read_text())
        write("api/v1", "secrets", "mutual-cert", None, type="Opaque", data=data)
        server = {
            "port": {"number": 8444, "name": "https-mutual", "protocol": "HTTPS"}, "hosts": ["m.example"],
            "tls": {"mode": "MUTUAL", "credentialName": "mutual-cert"},
        }  # fmt: skip
        selector = {"istio": "ingressgateway", "gateway": "shop-staging"}
        write(NETWORKING, "gateways", "mutual", {"selector": selector, "servers": [server]})
        answers = [{"directResponse": {"status": 200, "body": {"string": "you are known"}}}]
        spec = {"hosts": ["m.example"], "gateways": ["mutual"], "http": answers}
        write(NETWORKING, "virtualservices", "mutual", spec)
        own = []
        for name, text in zip(("c.pem", "k.pem"), pem(*certificate("client", authority=(root, key))), strict=True):
            own.append(tmp_path / name)
            own[-1].write_text(text)
        until(
            lambda: self.ask(lab, "m.example", 8444, file, own=own).text == "you are known",
            tolerate=(httpx.TransportError,),
        )
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            self.ask(lab, "m.example", 8444, file)


@contextlib.contextmanager
def server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server of nobody's mesh on loopback; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"host": self.headers["host"], "tls": context is not None}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made.server_address[1]
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


class TestOutsideTheMesh:
    def test_a_host_that_a_service_entry_declares_is_reached_and_can_be_faulted(
        self, lab: LabState, write: Callable[..., None], orders: httpx.Client
    ) -> None:
        assert code(orders, "http://api.partner.example/") == 502
        with server() as port:
            spec = {
                "hosts": ["api.partner.example"], "location": "MESH_EXTERNAL", "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": "127.0.0.1", "ports": {"http": port}}],
            }  # fmt: skip
            write(NETWORKING, "serviceentries", "partner", spec)
            until(lambda: code(orders, "http://api.partner.example/") == 200)
            assert orders.get("http://api.partner.example/x").json()["host"] == "api.partner.example"
            labels = {"reporter": "source", "destination_service": "api.partner.example"}
            until(lambda: counted(lab, **labels) > 0)
            fault = {"abort": {"percentage": {"value": 100}, "httpStatus": 418}}
            route = {"fault": fault, "route": [{"destination": {"host": "api.partner.example"}}]}
            write(NETWORKING, "virtualservices", "partner", {"hosts": ["api.partner.example"], "http": [route]})
            until(lambda: code(orders, "http://api.partner.example/") == 418)
            assert counted(lab, **labels, destination_service_name="api.partner.example") > 0

    def test_tls_is_begun_for_it(self, write: Callable[..., None], orders: httpx.Client, tmp_path: Path) -> None:
        for name, text in zip(("c.pem", "k.pem"), pem(*certificate("secure.example")), strict=True):
            (tmp_path / name).write_text(text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
        with server(context) as port:
            spec = {
                "hosts": ["secure.example"], "location": "MESH_EXTERNAL", "resolution": "DNS",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}],
                "endpoints": [{"address": "localhost"}],
            }  # fmt: skip
            write(NETWORKING, "serviceentries", "secure", spec)
            policy = {"host": "secure.example", "trafficPolicy": {"tls": {"mode": "SIMPLE", "sni": "secure.example"}}}
            write(NETWORKING, "destinationrules", "secure", policy)
            until(lambda: code(orders, "http://secure.example/") == 200)
            assert orders.get("http://secure.example/").json()["tls"] is True

    def test_workloads_can_be_selected_for_it(self, write: Callable[..., None], orders: httpx.Client) -> None:
        spec = {
            "hosts": ["stock.example"], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
            "workloadSelector": {"labels": {"app": "inventory-svc"}},
        }  # fmt: skip
        write(NETWORKING, "serviceentries", "stock", spec)
        until(lambda: code(orders, "http://stock.example/stock/1") == 200)

    def test_a_sidecar_resource_narrows_what_a_workload_knows(
        self, lab: LabState, write: Callable[..., None], orders: httpx.Client, users: httpx.Client
    ) -> None:
        payments = "http://payment-svc:8080/payments/1"
        until(lambda: code(orders, payments) == 200)
        scope = {
            "workloadSelector": {"labels": {"app": "order-svc"}},
            "egress": [{"hosts": ["./inventory-svc.staging.svc.cluster.local"]}],
        }
        write(NETWORKING, "sidecars", "orders", scope)
        until(lambda: code(orders, payments) == 502)
        until(lambda: code(orders) == 200)
        assert code(users, payments) == 200
        admin = f"http://{pod(lab, 'order-svc')['status']['podIP']}:15000/clusters"
        until(lambda: "|payment-svc.staging" not in loopback.get(admin).text)
