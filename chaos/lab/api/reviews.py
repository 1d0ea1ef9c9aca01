"""Answers to questions about rights and identities: ``kubectl auth can-i``, ``auth whoami``, ``create token``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from chaos.lab.api.authorizing import ADMINISTRATOR, PATHS_OF_ALL, RULES_OF_ALL, Access, Act, User
from chaos.lab.api.errors import ApiError, bad_request, invalid_kind
from chaos.lab.api.paths import Target
from chaos.lab.api.resources import PODS, SERVICE_ACCOUNTS
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Cause

PATHS: Final = {
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": "SelfSubjectRulesReview",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": "SelfSubjectReview",
}
"""Where they are asked, and the kind."""
_EVERYTHING: Final = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH: Final = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_SHORTEST: Final = 600
_LIFETIME: Final = 3600
"""Seconds for which a token is good: the shortest, and where its request does not say."""
_AUDIENCE: Final = "https://kubernetes.default.svc"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def review(access: Access, kind: str, asked: dict[str, Any], user: User | None) -> Response:
    """The answer to one of ``PATHS``.

    Raises:
        ApiError: 422 or 400, the question is none.
    """
    spec = _mapping(asked, "spec")
    metadata: dict[str, Any] = {}
    if kind == "SelfSubjectReview":
        name, groups = (user.name, user.groups) if user else ADMINISTRATOR
        status: dict[str, Any] = {"userInfo": {"username": name, "groups": list(groups)}}
        metadata = {"creationTimestamp": _now()}
    elif kind == "SelfSubjectRulesReview":
        namespace = spec.get("namespace")
        if not namespace:
            raise bad_request("no namespace on request")
        rules = [dict(rule) for rule in access.rules(user, namespace)] if user else [_EVERYTHING]
        paths = [] if user else [_EVERY_PATH]
        status = {
            "resourceRules": [*rules, *RULES_OF_ALL],
            "nonResourceRules": [*PATHS_OF_ALL, *paths],
            "incomplete": False,
        }
        spec = {}  # as Kubernetes answers: its rules are for the question's namespace, which it does not repeat
    else:
        resource, path = (
            None if spec.get(key) is None else _mapping(spec, key)
            for key in ("resourceAttributes", "nonResourceAttributes")
        )
        _check_question(resource, path)
        status = {"allowed": access.allows(user, _wanted(resource)) if resource is not None else _may(user, path or {})}
    answer = {"apiVersion": _served(kind), "kind": kind, "metadata": metadata, "status": status}
    return JSONResponse({**answer, **({"spec": spec} if kind != "SelfSubjectReview" else {})}, status_code=201)


def _mapping(obj: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object within an object; raises ``ApiError`` 400 for anything else."""
    value = obj.get(key) or {}
    if not isinstance(value, dict):
        raise bad_request(f"json: cannot unmarshal {key}: expected an object")
    return value


def _served(kind: str) -> str:
    return "/".join(next(path for path, one in PATHS.items() if one == kind).split("/")[2:4])


def _check_question(resource: Mapping[str, Any] | None, path: Mapping[str, Any] | None) -> None:
    cause = None
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = Cause.invalid("spec.resourceAttributes", None, why)
    elif resource is not None and path is not None:
        shown = {"Path": path.get("path", ""), "Verb": path.get("verb", "")}
        why = "cannot be specified in combination with resourceAttributes"
        cause = Cause.invalid("spec.nonResourceAttributes", shown, why)
    if cause is not None:
        raise invalid_kind("authorization.k8s.io", "", "", [cause])


def _may(user: User | None, path: Mapping[str, str]) -> bool:
    try:
        Access.check_path(user, path.get("verb", ""), path.get("path", ""))
    except ApiError:
        return False
    return user is None or path.get("verb") == "get"


def _wanted(attributes: Mapping[str, str]) -> Act:
    resource = "/".join(filter(None, (attributes.get("resource", ""), attributes.get("subresource", ""))))
    given = {key: attributes.get(key, "") for key in ("verb", "group", "namespace", "name")}
    return Act(resource=resource, **given)


def token(access: Access, store: Store, target: Target, asked: dict[str, Any]) -> Response:
    """A TokenRequest; the lab's tokens live as long as the lab and their account.

    Raises:
        ApiError: 404, there is no such account, or not the Pod that it is to be bound to; 422 for a lifetime that can't be.
    """
    namespace, name = str(target.namespace), str(target.name)
    account = store.get(SERVICE_ACCOUNTS, namespace, name)
    spec = _mapping(asked, "spec")
    seconds, bound = spec.get("expirationSeconds") or _LIFETIME, _mapping(spec, "boundObjectRef") or None
    if not isinstance(seconds, int):
        raise bad_request("TokenRequest cannot be handled: spec.expirationSeconds is no whole number")
    why = ""
    if seconds < _SHORTEST:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > 2**32:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        cause = Cause.invalid("spec.expirationSeconds", seconds, why)
        raise invalid_kind("authentication.k8s.io", "TokenRequest", "", [cause])
    if bound and bound.get("kind") == PODS.kind:
        store.get(PODS, namespace, str(bound.get("name", "")))
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    meta = {"name": name, "namespace": namespace, "uid": account["metadata"]["uid"], "creationTimestamp": _now()}
    shown = {"audiences": spec.get("audiences") or [_AUDIENCE], "expirationSeconds": seconds, "boundObjectRef": bound}
    status = {"token": access.issue(namespace, name), "expirationTimestamp": expires.strftime(_TIME)}
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": meta, "spec": shown}
    return JSONResponse({**body, "status": status}, status_code=201)


def _now() -> str:
    return datetime.now(UTC).strftime(_TIME)
