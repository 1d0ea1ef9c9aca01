"""What each suite guards, broken on purpose: a change of the shop's configuration, and how its test says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Broken:
    """One thing that is broken.

    Args:
        name: What, in a few words.
        test: The test that has to notice.
        file: A file of the shop's folder.
        old: What stands there.
        new: What stands there in its place.
        told: What the failure says.
    """

    name: str
    test: str
    file: str
    old: str
    new: str
    told: str


BROKEN = (
    Broken("weights-changed", "traffic/test_canary.py", "canary.yaml", "weight: 90}\n        - {destination: {host: recommendation-svc, subset: v2}, weight: 10}", "weight: 80}\n        - {destination: {host: recommendation-svc, subset: v2}, weight: 20}", "and its weight is 90 %"),
    Broken("header-misspelt", "traffic/test_routing.py", "routing.yaml", "x-canary:", "x-canery:", "requests with {'x-canary': 'true'}"),
    Broken("mirror-removed", "traffic/test_mirror.py", "mirror.yaml", "      mirror: {host: order-naive, port: {number: 8080}}\n      mirrorPercentage: {value: 100}\n", "", "no-callers"),
    Broken("users-get-the-mirror", "traffic/test_mirror.py", "mirror.yaml", "route: [{destination: {host: order-svc,", "route: [{destination: {host: order-naive,", "expectation-violated"),
    Broken("no-redirect", "traffic/test_ingress.py", "ingress.yaml", "      tls: {httpsRedirect: true}\n", "", "301"),
    Broken("certificate-of-another-name", "traffic/test_ingress.py", "services.toml", 'name = "shop.example"', 'name = "shop.example.org"', "requests_are_taken_by_tls"),
    Broken("time-out-removed", "resilience/test_timeout.py", "timeout.yaml", "      timeout: 1s\n", "", "expectation-violated"),
    Broken("time-out-too-long", "resilience/test_timeout.py", "timeout.yaml", "timeout: 1s", "timeout: 2s", "expectation-violated"),
    Broken("time-out-too-short", "resilience/test_timeout.py", "timeout.yaml", "timeout: 1s", "timeout: 500ms", "it gave up too early"),
    Broken("retries-removed", "resilience/test_retries.py", "retries.yaml", 'attempts: 2, perTryTimeout: 1s, retryOn: "5xx,reset,connect-failure"', "attempts: 0", "expectation-violated"),
    Broken("retries-unbounded", "resilience/test_retries.py", "retries.yaml", "attempts: 2,", "attempts: 8,", "expectation-violated"),
    Broken("pool-unlimited", "resilience/test_breaker.py", "breaker.yaml", "maxConnections: 10}\n      http: {http1MaxPendingRequests: 5, http2MaxRequests: 10}", "maxConnections: 1000}", "expectation-violated"),
    Broken("nobody-ejects", "resilience/test_ejection.py", "ejection.yaml", "consecutive5xxErrors: 5", "consecutive5xxErrors: 0", "expectation-violated"),
    Broken("ejected-for-minutes", "resilience/test_ejection.py", "ejection.yaml", "consecutive5xxErrors: 5, interval: 1s, baseEjectionTime: 5s", "consecutive5xxErrors: 50, interval: 1s, baseEjectionTime: 180s", "not-recovered"),
    Broken("naive-service", "resilience/test_degraded.py", "services.toml", 'service = "order-svc"\npath = "/orders"\nmethod', 'service = "order-naive"\npath = "/naive/orders"\nmethod', "expectation-violated"),
    Broken("permissive", "security/test_mutual_tls.py", "strict.yaml", "STRICT", "PERMISSIVE", "it answers a request without TLS"),
    Broken("other-identity", "security/test_mutual_tls.py", "services.toml", 'accounts = { order-svc = "order-svc"', 'accounts = { order-svc = "orders"', "expected the certificate of its identity"),
    Broken("plain-text-between-services", "security/test_mutual_tls.py::test_every_call_is_mutual_tls_between_declared_identities", "strict.yaml", "STRICT", "DISABLE", "shop-gateway → order-svc"),
    Broken("too-much-is-allowed", "security/test_authorization.py", "authorization.yaml", 'methods: ["GET"], ', "", "POST /recommendations/42"),
    Broken("deny-dropped", "security/test_authorization.py", "authorization.yaml", 'paths: ["/recommend/closed"]', 'paths: ["/recommend/clothed"]', "GET /recommendations/closed"),
    Broken("nothing-is-allowed", "security/test_authorization.py", "authorization.yaml", "sa/shop-gateway", "sa/other-gateway", "expected an answer without an error"),
    Broken("hole-under-a-fault", "security/test_under_fault.py::test_a_fault_opens_no_hole", "authorization.yaml", 'paths: ["/recommend/closed"]', 'paths: ["/recommend/clothed"]', "were not denied"),
    Broken("calls-do-not-go-on", "control_plane/test_istiod_down.py", "services.toml", '[control_plane]\ncaller = "order-svc"\nservice = "inventory-svc"\npath = "/orders/42"', '[control_plane]\ncaller = "order-svc"\nservice = "inventory-svc"\npath = "/nothing"', "404"),
    Broken("alert-mistyped", "observability/test_alerts.py", "alert.yaml", "alert: UsersFail", "alert: UserFails", "alert-not-found"),
    Broken("alert-never-fires", "observability/test_alerts.py", "alert.yaml", "5..", "6..", "expectation-violated"),
    Broken("alert-does-not-resolve", "observability/test_alerts.py", "alert.yaml", "for: 5s", "for: 5s\n          keep_firing_for: 10m", "not-recovered"),
    Broken("range-exceeded", "observability/test_key_metrics.py", "services.toml", 'ranges = { latency', 'ranges = { proxy-memory = "1M", latency', "not-steady-before"),
    Broken("too-old", "control_plane/test_versions.py", "services.toml", "[control_plane]", '[versions]\nkubernetes = "1.31"\n[control_plane]', "is older than 1.31"),
)  # fmt: skip
"""Each with the test that notices."""
