"""DestinationRules: subsets, pools, outlier detection, load balancing and TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.validation import Validation
from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.hosts import host_problem, label_problems
from chaos.lab.istio.validation.outcome import outcome

_POOL: Final = s.obj(
    {
        "tcp": s.obj(
            {
                "maxConnections": s.INT32, "connectTimeout": s.DURATION,
                "tcpKeepalive": s.obj({"interval": s.DURATION, "probes": s.UINT32, "time": s.DURATION}),
                "maxConnectionDuration": s.DURATION, "idleTimeout": s.DURATION,
            }
        ),
        "http": s.obj(
            {
                "http1MaxPendingRequests": s.INT32, "http2MaxRequests": s.INT32, "maxRequestsPerConnection": s.INT32,
                "maxRetries": s.INT32, "idleTimeout": s.DURATION,
                "h2UpgradePolicy": s.Node(kind="string", enum=("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")),
                "useClientProtocol": s.unsupported(), "maxConcurrentStreams": s.INT32,
            }
        ),
    }
)  # fmt: skip
_OUTLIER: Final = s.obj(
    {
        "consecutive5xxErrors": s.UINT32, "consecutiveGatewayErrors": s.UINT32, "interval": s.DURATION,
        "baseEjectionTime": s.DURATION, "maxEjectionPercent": s.INT32, "minHealthPercent": s.INT32,
        "consecutiveErrors": s.unsupported(), "consecutiveLocalOriginFailures": s.UINT32,
        "splitExternalLocalOriginErrors": s.BOOLEAN,
    }
)  # fmt: skip
_HASH: Final = s.obj(
    {
        "httpCookie": s.obj(
            {"attributes": s.unsupported(), "name": s.STRING, "path": s.STRING, "ttl": s.STRING}, required=("name",)
        ),
        "httpHeaderName": s.STRING, "httpQueryParameterName": s.STRING,
        "maglev": s.obj({"tableSize": s.INT32}), "minimumRingSize": s.INT32,
        "ringHash": s.obj({"minimumRingSize": s.INT32}), "useSourceIp": s.BOOLEAN,
    },
    one_of=("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
)  # fmt: skip
_BALANCER: Final = s.obj(
    {
        "simple": s.Node(kind="string", enum=("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")),
        "consistentHash": _HASH, "localityLbSetting": s.unsupported(), "warmup": s.unsupported(),
        "warmupDurationSecs": s.unsupported(),
    }
)  # fmt: skip
_TLS: Final = s.obj(
    {
        "mode": s.Node(kind="string", enum=("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")),
        "sni": s.STRING, "subjectAltNames": s.STRINGS, "insecureSkipVerify": s.BOOLEAN, "credentialName": s.STRING,
        **dict.fromkeys(("caCertificates", "caCrl", "clientCertificate", "privateKey"), s.unsupported()),
    }
)  # fmt: skip
_PORT: Final = s.obj(
    {
        "connectionPool": _POOL, "loadBalancer": _BALANCER, "outlierDetection": _OUTLIER,
        "port": s.obj({"number": s.UINT32}), "tls": _TLS,
    }
)  # fmt: skip
_POLICY: Final = s.obj(
    {
        "connectionPool": _POOL, "loadBalancer": _BALANCER, "outlierDetection": _OUTLIER, "tls": _TLS,
        "portLevelSettings": s.array(_PORT), "proxyProtocol": s.unsupported(), "tunnel": s.unsupported(),
        "retryBudget": s.unsupported(),
    }
)  # fmt: skip
SPEC: Final = s.obj(
    {
        "host": s.STRING,
        "trafficPolicy": _POLICY,
        "subsets": s.array(s.obj({"name": s.STRING, "labels": s.LABELS, "trafficPolicy": _POLICY}, required=("name",))),
        "exportTo": s.STRINGS,
        "workloadSelector": s.unsupported(),
    },
    required=("host",),
)


def validate_destination_rule(obj: dict[str, Any]) -> Validation:
    """The schema, the webhook's rules, the lab's limits."""
    spec = obj.get("spec") or {}
    return outcome(s.check(SPEC, spec, ("spec",)), errors=_errors(spec), limits=_limits(spec))


def _limits(spec: Mapping[str, Any]) -> Iterator[str]:
    for policy in _policies(spec):
        if _simple(policy) == "PASSTHROUGH":
            yield "trafficPolicy.loadBalancer.simple: PASSTHROUGH"
        tls = policy.get("tls") or {}
        if tls.get("mode") == "MUTUAL" or tls.get("credentialName"):
            yield "trafficPolicy.tls with certificates of its own (mode MUTUAL, credentialName)"


def _policies(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    whole = [spec.get("trafficPolicy") or {}, *(one.get("trafficPolicy") or {} for one in spec.get("subsets") or ())]
    return [*whole, *(port for policy in whole for port in policy.get("portLevelSettings") or ())]


def _simple(policy: Mapping[str, Any]) -> str:
    return str((policy.get("loadBalancer") or {}).get("simple", ""))


def _errors(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from host_problem(spec["host"])
    names = [subset["name"] for subset in spec.get("subsets") or ()]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"duplicate subset names: {name}"
    for subset in spec.get("subsets") or ():
        if not subset["name"]:
            yield "subset name cannot be empty"
        yield from label_problems(subset.get("labels") or {})
    for policy in _policies(spec):
        by = (policy.get("loadBalancer") or {}).get("consistentHash")
        if by is not None and not any(
            by.get(k) for k in ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
        ):
            yield "consistent hash must say what is hashed"
        if by is not None and (policy.get("loadBalancer") or {}).get("simple"):
            yield "load balancer must have one of simple and consistentHash"
        for settings in policy.get("portLevelSettings") or ():
            if not 1 <= (settings.get("port") or {}).get("number", 0) <= 65535:
                yield "port level settings must name a port in the range 1..65535"
        outlier = policy.get("outlierDetection") or {}
        for key in ("maxEjectionPercent", "minHealthPercent"):
            if not 0 <= outlier.get(key, 0) <= 100:
                yield f"{key} must be in range [0, 100]"
        pool = policy.get("connectionPool")
        if pool is not None and not (pool.get("tcp") or pool.get("http")):
            yield "connection pool must have at least one field"
        for key, value in ((pool or {}).get("http") or {}).items():
            if isinstance(value, int) and value < 0:
                yield f"{key} must be non-negative"
        if ((pool or {}).get("tcp") or {}).get("maxConnections", 0) < 0:
            yield "max connections must be non-negative"
