"""Answers to questions about rights and identities: ``kubectl auth can-i``, ``auth whoami``, ``create token``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from chaos.lab.api.authorizing import ADMINISTRATOR, Access, Act, User
from chaos.lab.api.paths import Target

PATHS: Final = {
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": "SelfSubjectRulesReview",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": "SelfSubjectReview",
}
"""Where they are asked, and the kind."""
_EVERYTHING: Final = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH: Final = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def review(access: Access, kind: str, asked: dict[str, Any], user: User | None) -> Response:
    """The answer to one of ``PATHS``."""
    spec = asked.get("spec") or {}
    if kind == "SelfSubjectReview":
        name, groups = (user.name, user.groups) if user else ADMINISTRATOR
        status: dict[str, Any] = {"userInfo": {"username": name, "groups": list(groups)}}
    elif kind == "SelfSubjectRulesReview":
        rules = [dict(rule) for rule in access.rules(user, spec.get("namespace", ""))] if user else [_EVERYTHING]
        paths = [] if user else [_EVERY_PATH]
        status = {"resourceRules": rules, "nonResourceRules": paths, "incomplete": False}
    else:
        allowed = access.allows(user, _wanted(spec.get("resourceAttributes") or {}))
        status = {"allowed": allowed, "reason": "" if allowed else "no rule that is bound to the user has it"}
    return JSONResponse({**asked, "status": status}, status_code=201)


def _wanted(attributes: dict[str, str]) -> Act:
    resource = "/".join(filter(None, (attributes.get("resource", ""), attributes.get("subresource", ""))))
    given = {key: attributes.get(key, "") for key in ("verb", "group", "namespace", "name")}
    return Act(resource=resource, **given)


def token(access: Access, target: Target, asked: dict[str, Any]) -> Response:
    """A TokenRequest; the lab's tokens live as long as the lab and their account."""
    issued = access.issue(str(target.namespace), str(target.name))
    expires = datetime.now(UTC) + timedelta(seconds=(asked.get("spec") or {}).get("expirationSeconds") or 3600)
    status = {"token": issued, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    body = {**asked, "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": status}
    return JSONResponse(body, status_code=201)
