"""What a DestinationRule says of connections: pools, outlier detection, load balancing and TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Any, Final

from chaos.lab.istio.validation import schema as s
from chaos.lab.istio.validation.outcome import Told, Warned, errors
from chaos.lab.istio.validation.values import duration

_POOL: Final = s.obj(
    {
        "tcp": s.obj(
            {
                "maxConnections": s.INT32, "connectTimeout": s.DURATION,
                "tcpKeepalive": s.obj({"interval": s.DURATION, "probes": s.UINT32, "time": s.DURATION}),
                "maxConnectionDuration": s.DURATION, "idleTimeout": s.STRING,
            }
        ),
        "http": s.obj(
            {
                "http1MaxPendingRequests": s.INT32, "http2MaxRequests": s.INT32, "maxRequestsPerConnection": s.INT32,
                "maxRetries": s.INT32, "idleTimeout": s.DURATION,
                "h2UpgradePolicy": s.choice("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
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
        "maglev": s.obj({"tableSize": s.UINT64}), "minimumRingSize": s.UINT64,
        "ringHash": s.obj({"minimumRingSize": s.UINT64}), "useSourceIp": s.BOOLEAN,
    },
    one_of=(
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    ),
)  # fmt: skip
_BALANCER: Final = s.obj(
    {
        "simple": s.choice("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"),
        "consistentHash": _HASH, "localityLbSetting": s.unsupported(), "warmup": s.unsupported(),
        "warmupDurationSecs": s.unsupported(),
    },
    one_of=(("simple", "consistentHash"),),
)  # fmt: skip
_TLS: Final = s.obj(
    {
        "mode": s.choice("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
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
POLICY: Final = s.obj(
    {
        "connectionPool": _POOL, "loadBalancer": _BALANCER, "outlierDetection": _OUTLIER, "tls": _TLS,
        "portLevelSettings": s.array(_PORT, longest=4096), "proxyProtocol": s.unsupported(), "tunnel": s.unsupported(),
        "retryBudget": s.unsupported(),
    }
)  # fmt: skip
_LARGEST_TABLE: Final = 5000011


def traffic_policy(policy: Mapping[str, Any] | None) -> Told:
    """Istiod ``validateTrafficPolicy``. What it would warn of at a port, it does not say."""
    if policy is None:
        return
    if not policy.keys() - {"portLevelSettings"} and not policy.get("portLevelSettings"):
        yield "traffic policy must have at least one field"
    yield from _settings(policy)
    for port in policy.get("portLevelSettings") or ():
        if "port" not in port:
            yield "portTrafficPolicy must have valid port"
        if not port.keys() - {"port"}:
            yield "port traffic policy must have at least one field"
        yield from errors(_settings(port))


def _settings(policy: Mapping[str, Any]) -> Told:
    yield from _outlier(policy.get("outlierDetection"))
    yield from _pool(policy.get("connectionPool"))
    yield from _balancer(policy.get("loadBalancer"))
    yield from _tls(policy.get("tls"))


def _outlier(outlier: Mapping[str, Any] | None) -> Iterator[str]:
    if outlier is None:
        return
    yield from duration(outlier.get("baseEjectionTime"))
    yield from duration(outlier.get("interval"))
    if outlier.get("consecutiveLocalOriginFailures") and not outlier.get("splitExternalLocalOriginErrors"):
        yield "outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false"
    for key in ("maxEjectionPercent", "minHealthPercent"):
        if not 0 <= outlier.get(key, 0) <= 100:
            yield f"{key}: percentage {outlier[key]} is not in range 0..100"


def _pool(pool: Mapping[str, Any] | None) -> Iterator[str]:
    if pool is None:
        return
    http, tcp = pool.get("http"), pool.get("tcp")
    if http is None and tcp is None:
        yield "connection pool must have at least one field"
    for settings in (http or {}, tcp or {}, (tcp or {}).get("tcpKeepalive") or {}):
        for key, value in settings.items():
            if isinstance(value, int) and value < 0:
                yield f"{key} must be non-negative"
            elif key in ("connectTimeout", "maxConnectionDuration", "interval", "time"):
                yield from duration(value)
    yield from duration((http or {}).get("idleTimeout"))
    yield from duration((tcp or {}).get("idleTimeout"), none=True)


def _balancer(balancer: Mapping[str, Any] | None) -> Told:
    by = (balancer or {}).get("consistentHash")
    if by is None:
        return
    if "httpCookie" in by:
        if not by["httpCookie"]["name"]:
            yield "name required for HttpCookie"
        yield from duration(by["httpCookie"].get("ttl"), parsed=True)
    if by.get("minimumRingSize"):
        yield Warned(
            "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's RingHash configuration instead"
        )
        if "maglev" in by or "ringHash" in by:
            yield "only one of MinimumRingSize or Maglev/Ringhash can be specified"
    if "maglev" in by:
        size = by["maglev"].get("tableSize", 0)
        if not 0 < size < _LARGEST_TABLE or not _prime(size):
            yield f"tableSize must be a prime number less than {_LARGEST_TABLE} for maglev, not {size}"


def _prime(size: int) -> bool:
    """As Envoy finds out (``source/common/common/utility.cc``, ``Primes::isPrime``): 1 is one."""
    return size < 4 or (size % 2 != 0 and all(size % factor for factor in range(3, isqrt(size) + 1, 2)))


def _tls(tls: Mapping[str, Any] | None) -> Iterator[str]:
    """Istiod ``agent.ValidateTLS``, without the fields that the lab does not have."""
    if tls is None:
        return
    mode, credential = tls.get("mode", "DISABLE"), tls.get("credentialName", "")
    if tls.get("insecureSkipVerify") and mode in ("SIMPLE", "MUTUAL"):
        if tls.get("subjectAltNames"):
            yield "cannot specify subjectAltNames when insecureSkipVerify is set true"
        if mode == "SIMPLE" and credential:
            yield "cannot specify credentialName when insecureSkipVerify is set true"
    if mode == "MUTUAL" and not credential:
        yield "client certificate and private key required for mutual tls"
