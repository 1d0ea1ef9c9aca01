"""An operations guide's mutual TLS, authorization and ingress, applied with kubectl, measured at callers and at the gateway.

The names are Bookinfo's.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from chaos.adapters.http_probe import HttpProbe
from chaos.lab.state import LabState
from chaos.model.experiment import Request
from chaos.values.entry import Contact, Hindrance
from tests.e2e.callers import address, applying, ask, kubectl, sidecar
from tests.e2e.experiments import query
from tests.support import loopback
from tests.support.certificates import certificate, pem
from tests.support.kubectl import needs_kubectl
from tests.support.labs import own_lab
from tests.support.scope import survive_only
from tests.support.waiting import until

pytestmark = [pytest.mark.lab, needs_kubectl, survive_only]

WORKLOAD = """\
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: bookinfo-{name}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 9080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}-v1}}
spec:
  selector: {{matchLabels: {{app: {name}, version: v1}}}}
  template:
    metadata: {{labels: {{app: {name}, version: v1}}}}
    spec:
      serviceAccountName: bookinfo-{name}
      containers: [{{name: app, image: app, ports: [{{containerPort: 9080}}]}}]
"""
GATEWAY = """\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bookinfo-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["bookinfo.example.com"]
"""
SECURE_GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: production-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: production-tls-cert}
    hosts: ["*.example.com"]
  - port: {number: 80, name: http, protocol: HTTP}
    tls: {httpsRedirect: true}
    hosts: ["*.example.com"]
"""
ROUTES = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bookinfo}
spec:
  hosts: ["bookinfo.example.com"]
  gateways: [bookinfo-gateway]
  http:
  - match:
    - uri: {exact: /productpage}
    - uri: {prefix: /static}
    - uri: {exact: /login}
    - uri: {exact: /logout}
    - uri: {prefix: /api/v1/products}
    route:
    - destination: {host: productpage, port: {number: 9080}}
"""
MESH = "".join(WORKLOAD.format(name=name) for name in ("productpage", "reviews", "ratings")) + GATEWAY + ROUTES
STRICT = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
DENY_ALL = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-all}
spec: {}
"""
ALLOW_REVIEWS = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews-policy}
spec:
  selector: {matchLabels: {app: reviews}}
  action: ALLOW
  rules:
  - from:
    - source: {principals: ["cluster.local/ns/default/sa/bookinfo-productpage"]}
    to:
    - operation: {methods: ["GET"], paths: ["/reviews/*"]}
"""
DENY_ONE = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: not-seven}
spec:
  selector: {matchLabels: {app: reviews}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/reviews/7"]}}]}]
"""
FAULT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - fault: {abort: {percentage: {value: 50}, httpStatus: 555}}
    route: [{destination: {host: reviews}}]
"""
REVIEW = "http://reviews:9080/reviews/0"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    file = tmp_path_factory.mktemp("mesh") / "bookinfo.yaml"
    file.write_text(MESH)
    with own_lab(tmp_path_factory.mktemp("labs"), "guide-security", manifests=[file]) as made:
        yield made


@pytest.fixture
def apply(lab: LabState) -> Iterator[Callable[[str], None]]:
    with applying(lab) as one:
        yield one


@pytest.fixture(scope="module")
def page(lab: LabState) -> str:
    return sidecar(lab, "productpage", "default")


@pytest.fixture(scope="module")
def ratings(lab: LabState) -> str:
    return sidecar(lab, "ratings", "default")


def statuses(proxy: str, url: str = REVIEW, times: int = 30) -> set[int]:
    return {reply.status for reply in ask(proxy, url, times)}


def test_strict_mutual_tls_refuses_plain_text_also_under_a_fault(
    lab: LabState, page: str, apply: Callable[[str], None]
) -> None:
    pod = address(lab, "app=reviews", "default")

    def plain() -> int | None:
        """Without a sidecar, and so without TLS."""
        try:
            return loopback.get(f"http://{pod}:9080/reviews/0").status_code
        except httpx.TransportError:
            return None

    assert plain() == 200, "PERMISSIVE is the default"
    apply(STRICT)
    until(lambda: plain() is None, "plain text is refused")
    assert statuses(page) == {200}
    apply(FAULT)
    until(lambda: 555 in statuses(page, times=10))
    assert statuses(page) == {200, 555}
    assert plain() is None
    trust = "spiffe://cluster.local/ns/default/sa"
    labels = (
        f'source_principal="{trust}/bookinfo-productpage",destination_principal="{trust}/bookinfo-reviews",'
        'connection_security_policy="mutual_tls",reporter="destination"'
    )
    until(lambda: bool(query(lab, f"sum(istio_requests_total{{{labels}}}) > 30")), "both are who they should be")


def test_what_is_not_allowed_is_denied_and_deny_comes_before_allow(
    lab: LabState, page: str, ratings: str, apply: Callable[[str], None]
) -> None:
    others = "http://ratings:9080/ratings/0"
    until(lambda: statuses(page) == statuses(ratings) == statuses(page, others) == {200}, "what tests before took away")
    apply(DENY_ALL)
    # A connection from before may carry one more request under the old policy.
    until(lambda: statuses(page) == statuses(ratings) == statuses(page, others) == {403}, "nothing is allowed")
    apply(ALLOW_REVIEWS)
    until(lambda: statuses(page) == {200}, "the page may read reviews")
    assert statuses(ratings) == {403}, "others may not"
    assert statuses(page, "http://reviews:9080/health") == {403}, "nor anything else"
    assert statuses(page, others) == {403}, "nor of anyone else"
    with loopback.Client(proxy=page) as client:
        assert client.post(REVIEW).status_code == 403, "nor write them"
    apply(DENY_ONE)
    until(lambda: statuses(page, "http://reviews:9080/reviews/7") == {403}, "denied, although it is allowed")
    assert statuses(page) == {200}
    apply(FAULT)
    until(lambda: 555 in statuses(ratings, times=10))
    assert statuses(ratings) == {403, 555}, "a fault opens no hole"
    assert statuses(page) == {200, 555}


def at_gateway(lab: LabState, port: int, path: str, trust: ssl.SSLContext | None = None) -> httpx.Response:
    """Asked as ``bookinfo.example.com``, without following redirects; over TLS where it is said whom to trust."""
    host, scheme = "bookinfo.example.com", "https" if trust else "http"
    with loopback.Client(verify=trust or False) as client:
        url = f"{scheme}://{address(lab, 'istio=ingressgateway', 'istio-system')}:{port}{path}"
        return client.get(url, headers={"host": host}, extensions={"sni_hostname": host})


def test_the_gateway_serves_the_paths_that_are_routed(lab: LabState) -> None:
    until(lambda: at_gateway(lab, 8080, "/login").status_code == 200, "what tests before took away")
    for path in ("/productpage", "/static/x.css", "/login", "/logout", "/api/v1/products/0"):
        answer = at_gateway(lab, 8080, path)
        assert (answer.status_code, answer.json()["service"]) == (200, "productpage"), path
    assert at_gateway(lab, 8080, "/productpages").status_code == 404
    assert loopback.get(f"{lab.entry}/productpage", headers={"host": "other"}).status_code == 404


def test_the_gateway_ends_tls_and_redirects_plain_http(
    lab: LabState, apply: Callable[[str], None], tmp_path: Path
) -> None:
    authority = certificate("the tests' authority")
    for name, text in zip(("tls.crt", "tls.key"), pem(*certificate("*.example.com", authority=authority)), strict=True):
        (tmp_path / name).write_text(text)
    (tmp_path / "root.pem").write_text(pem(*authority)[0])
    trusted = ssl.create_default_context(cafile=str(tmp_path / "root.pem"))
    files = ("--cert", str(tmp_path / "tls.crt"), "--key", str(tmp_path / "tls.key"))
    kubectl(lab, "create", "secret", "tls", "production-tls-cert", "-n", "istio-system", *files)
    kubectl(lab, "delete", "gateway", "bookinfo-gateway")
    apply(SECURE_GATEWAY)
    kubectl(lab, "apply", "-f", "-", stdin=ROUTES.replace("[bookinfo-gateway]", "[production-gateway]"))

    def secure() -> int:
        return at_gateway(lab, 8443, "/productpage", trusted).status_code

    until(lambda: secure() == 200, "TLS with the certificate of the Secret", tolerate=(httpx.TransportError,))
    until(lambda: at_gateway(lab, 8080, "/productpage").status_code == 301)
    answer = at_gateway(lab, 8080, "/productpage?x=1")
    assert answer.headers["location"] == "https://bookinfo.example.com/productpage?x=1"
    with pytest.raises(httpx.ConnectError, match="certificate"):
        at_gateway(lab, 8443, "/productpage", ssl.create_default_context())

    # What a run finds out of such a gateway before it begins.
    probe, page, ip = HttpProbe(), Request.get("/productpage"), address(lab, "istio=ingressgateway", "istio-system")
    tls, plain, host = f"https://{ip}:8443", f"http://{ip}:8080", "bookinfo.example.com"
    assert "issuer certificate" in probe.connect(tls, host=host).certificate
    assert probe.ask(tls, page, host=host).status == 200
    assert probe.connect(tls, host=None).hindrance is Hindrance.TLS_FAILED, "no server of it has an address as its name"
    assert probe.connect(plain.replace("http:", "https:"), host=host).hindrance is Hindrance.NO_TLS
    assert probe.ask(tls.replace("https:", "http:"), page, host=host).hindrance is Hindrance.TLS_ONLY
    assert probe.ask(plain, page, host=host).location == f"https://{host}/productpage"
    assert probe.ask(tls, Request.get("/productpages"), host=host) == Contact(status=404, by_gateway=True)
