"""When and where a request is tried again (istiod ``pilot/pkg/networking/core/route/retry/retry.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from chaos.lab.istio.durations import protobuf

DEFAULT_RETRY_ON: Final = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
"""Of Istio 1.24 and later; before it also 503."""
_CODES: Final = frozenset(int(one) for one in HTTPStatus)
_OTHER_HOSTS: Final = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    },
}
_OTHER_LOCALITIES: Final = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 2,
    },
}
"""The lab's endpoints are all in one locality, so that it changes nothing there."""


def retry_policy(retries: Mapping[str, Any] | None, *, hashed: bool = False) -> dict[str, Any] | None:
    """Envoy's policy; ``None`` where nothing is tried again.

    Args:
        retries: A route's; without any, Istio's default.
        hashed: Whether the destination is chosen by consistent hashing: then a retry stays with the host.
    """
    if retries is not None and retries.get("attempts", 0) <= 0:
        return None
    given = retries or {}
    policy: dict[str, Any] = {
        "num_retries": given.get("attempts", 2),
        "retry_on": DEFAULT_RETRY_ON,
        "host_selection_retry_max_attempts": "5",
    }
    elsewhere = given.get("retryIgnorePreviousHosts")
    if not hashed if elsewhere is None else elsewhere:
        policy["retry_host_predicate"] = [_OTHER_HOSTS]
    if given.get("retryOn"):
        words = [word.strip() for word in given["retryOn"].split(",") if word.strip()]
        codes = [int(word) for word in words if word.isdigit() and int(word) in _CODES]
        names = [word for word in words if not (word.isdigit() and int(word) in _CODES)]
        if codes:
            policy["retriable_status_codes"] = codes
            names.append("retriable-status-codes")
        policy["retry_on"] = ",".join(dict.fromkeys(names))
    if given.get("perTryTimeout"):
        policy["per_try_timeout"] = protobuf(given["perTryTimeout"])
    if given.get("backoff"):
        policy["retry_back_off"] = {"base_interval": protobuf(given["backoff"])}
    if given.get("retryRemoteLocalities"):
        policy["retry_priority"] = _OTHER_LOCALITIES
    return policy
