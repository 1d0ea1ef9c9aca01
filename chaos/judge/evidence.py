"""Which raw series a run must record so that it can be judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chaos.expectations.claim import Claim
from chaos.istio.hosts import service_fqdn
from chaos.model.plan import Plan
from chaos.values.series import QueryKind

SOURCE_SIDE: Final = 'reporter=~"source|waypoint"'
"""The callers' side: it sees injected faults, and answers that never came."""


@dataclass(frozen=True)
class Query:
    """One selector to record.

    Args:
        key: What the judge asks for.
        kind: What it counts.
        selector: A PromQL selector; for ``promql`` the claim's own comparison.
    """

    key: str
    kind: QueryKind
    selector: str


def requests_key(host: str) -> str:
    """Requests towards a host, as its callers count them."""
    return f"requests:{host}"


def arrivals_key(host: str) -> str:
    """Requests that arrived at a host, as it counts them itself."""
    return f"arrivals:{host}"


def buckets_key(host: str, bound: float) -> str:
    """Requests towards a host that were answered within a bound in milliseconds."""
    return f"buckets:{host}:{bound:g}"


def durations_key(host: str) -> str:
    """Requests towards a host, as the histogram counts them."""
    return f"durations:{host}"


def promql_key(title: str) -> str:
    """A claim's own comparison."""
    return f"promql:{title}"


def milliseconds(duration: timedelta) -> float:
    """A duration in milliseconds."""
    return duration / timedelta(milliseconds=1)


def needed(plan: Plan) -> tuple[Query, ...]:
    """Every selector, once."""
    found: dict[str, Query] = {}
    for query in _all(plan):
        found.setdefault(query.key, query)
    return tuple(found.values())


def _all(plan: Plan) -> Iterator[Query]:
    host = plan.host
    yield _requests(host)
    yield Query(
        arrivals_key(host),
        QueryKind.REQUESTS,
        f'istio_requests_total{{reporter="destination",destination_service="{host}"}}',
    )
    experiment = plan.experiment
    for claim in (*experiment.steady_state, *experiment.guardrails):
        yield from _for_claim(claim, experiment.target.namespace)


def _requests(host: str) -> Query:
    return Query(
        requests_key(host), QueryKind.REQUESTS, f'istio_requests_total{{{SOURCE_SIDE},destination_service="{host}"}}'
    )


def _for_claim(claim: Claim, namespace: str) -> Iterator[Query]:
    if claim.promql is not None:
        yield Query(promql_key(claim.title), QueryKind.PROMQL, claim.promql)
    if claim.source != "mesh" or claim.service is None or claim.good is None:
        return
    host = service_fqdn(claim.service, namespace)
    if claim.good.within is None:
        yield _requests(host)
        return
    bound = milliseconds(claim.good.within)
    metric = "istio_request_duration_milliseconds"
    yield Query(
        buckets_key(host, bound),
        QueryKind.BUCKETS,
        f'{metric}_bucket{{{SOURCE_SIDE},destination_service="{host}",le=~"{_le(bound)}"}}',
    )
    yield Query(
        durations_key(host), QueryKind.DURATIONS, f'{metric}_count{{{SOURCE_SIDE},destination_service="{host}"}}'
    )


def _le(bound: float) -> str:
    """A regex of a bucket's bound as it may be written: Prometheus 3 turns 1000 into 1000.0 and 3600000 into 3.6e+06."""
    plain = str(int(bound)) if bound == int(bound) else repr(bound)
    forms = f"{plain}(.0)?" if bound == int(bound) else plain
    if bound >= 1e6:
        forms += f"|{bound:.6g}"
    return forms.replace(".", "\\\\.").replace("+", "\\\\+")
