"""Who asks, and whether they may: service accounts' tokens, impersonation and RBAC.

Over TLS nobody has access without a token. Over plain HTTP a request without credentials may do everything, as one through
``kubectl proxy`` may. A service account's token may do what the Roles that are bound to it allow, and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import HTTPConnection

from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
)
from chaos.lab.api.store import Store

_EVERYBODY: Final = "system:authenticated"
ADMINISTRATOR: Final = ("lab-admin", ("system:masters", _EVERYBODY))
"""Name and groups of who comes without a service account."""

_OPEN_PATHS: Final = ("/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version", "/version/")
_OPEN_BELOW: Final = ("/api/", "/apis/", "/openapi/")
"""What the cluster role ``system:discovery`` lets everybody read."""
RULES_OF_ALL: Final = (
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
)
"""What everybody may do: the cluster role ``system:basic-user``."""
PATHS_OF_ALL: Final = ({"verbs": ["get"], "nonResourceURLs": [*_OPEN_PATHS, *(f"{path}*" for path in _OPEN_BELOW)]},)


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. ``None`` in its place is the administrator."""

    namespace: str
    account: str

    @property
    def name(self) -> str:
        """As Kubernetes writes it."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that every service account is in."""
        return ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", _EVERYBODY)


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody wants to do; ``resource`` with its subresource, as ``pods/exec``."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


class Access:
    """Tokens and their rights.

    Args:
        store: Where service accounts and roles are.
        administrators: Tokens that may do everything, as no token may.
    """

    def __init__(self, store: Store, *, administrators: Collection[str] = ()) -> None:
        self._store = store
        self._administrators = frozenset(administrators)
        self._tokens: dict[str, tuple[User, str]] = {}

    def issue(self, namespace: str, account: str) -> str:
        """A new token of a service account; raises ``ApiError`` where there is none."""
        found = self._store.get(SERVICE_ACCOUNTS, namespace, account)
        token = f"lab-{secrets.token_urlsafe(32)}"
        self._tokens[token] = (User(namespace, account), found["metadata"]["uid"])
        return token

    def user(self, asked: HTTPConnection) -> User | None:
        """Who sends a request: by its token, or whom an administrator impersonates.

        Raises:
            ApiError: 401, nobody has this token, or its service account is gone; 403, who may not impersonate.
        """
        user = self._by_token(asked.headers.get("authorization", ""), secure=asked.url.scheme in ("https", "wss"))
        impersonated = asked.headers.get("impersonate-user")
        return user if impersonated is None else self._impersonated(user, impersonated)

    def _by_token(self, authorization: str, *, secure: bool) -> User | None:
        if not authorization and not secure:
            return None
        kind, _, token = authorization.partition(" ")
        if kind.lower() == "bearer" and token.strip() in self._administrators:
            return None
        known = self._tokens.get(token.strip()) if kind.lower() == "bearer" else None
        if known is not None:
            user, uid = known
            account = self._store.find(SERVICE_ACCOUNTS, user.namespace, user.account)
            if account is not None and account["metadata"]["uid"] == uid:
                return user
        raise ApiError(401, "Unauthorized", "Unauthorized")

    def _impersonated(self, user: User | None, name: str) -> User:
        prefix, _, rest = name.partition("system:serviceaccount:")
        namespace, _, account = rest.partition(":")
        if prefix or not account:
            raise ApiError(403, "Forbidden", f"the lab knows service accounts only, not the user {name!r}")
        self.check(
            user, Act(verb="impersonate", group="", resource="serviceaccounts", namespace=namespace, name=account)
        )
        return User(namespace, account)

    def check(self, user: User | None, act: Act) -> None:
        """Raises ``ApiError`` 403 for what the user may not do."""
        if self.allows(user, act):
            return
        assert user is not None  # noqa: S101 - the administrator may do everything
        plural = act.resource.partition("/")[0]
        title = f"{plural}.{act.group}" if act.group else plural
        where = f' in the namespace "{act.namespace}"' if act.namespace else " at the cluster scope"
        named = f' "{act.name}"' if act.name else ""
        raise ApiError(
            403,
            "Forbidden",
            f'{title}{named} is forbidden: User "{user.name}" cannot {act.verb} resource "{act.resource}" '
            f'in API group "{act.group}"{where}',
            details={"name": act.name, "group": act.group, "kind": plural},
        )

    @staticmethod
    def check_path(user: User | None, method: str, path: str) -> None:
        """Raises ``ApiError`` 403 for a path that is no resource, and none of those that everybody may read."""
        if user is None or path in _OPEN_PATHS or path.startswith(_OPEN_BELOW):
            return
        message = f'forbidden: User "{user.name}" cannot {method.lower()} path "{path}"'
        raise ApiError(403, "Forbidden", message, details={})

    def allows(self, user: User | None, act: Act) -> bool:
        """Whether some rule that is bound to the user has this verb, resource and name."""
        return user is None or any(_fits(rule, act) for rule in self.rules(user, act.namespace))

    def rules(self, user: User, namespace: str) -> Iterator[Mapping[str, Any]]:
        """The rules that hold for a user in a namespace; with none given, only those of the whole cluster."""
        for binding in self._store.list(CLUSTER_ROLE_BINDINGS):
            if _is_bound(binding, user):
                yield from self._role(binding, "")
        for binding in self._store.list(ROLE_BINDINGS, namespace) if namespace else ():
            if _is_bound(binding, user):
                yield from self._role(binding, namespace)

    def _role(self, binding: Mapping[str, Any], namespace: str) -> Sequence[Mapping[str, Any]]:
        ref = binding["roleRef"]
        if ref["kind"] == "ClusterRole":
            found = self._store.find(CLUSTER_ROLES, None, ref["name"])
        else:
            found = self._store.find(ROLES, namespace, ref["name"]) if namespace else None
        return (found or {}).get("rules") or ()


def _is_bound(binding: Mapping[str, Any], user: User) -> bool:
    home = binding["metadata"].get("namespace", "")
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "ServiceAccount" and (subject.get("namespace") or home, name) == (user.namespace, user.account):
            return True
        if (kind == "User" and name == user.name) or (kind == "Group" and name in user.groups):
            return True
    return False


def _fits(rule: Mapping[str, Any], act: Act) -> bool:
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("verbs"), act.verb)
        and _has(rule.get("apiGroups"), act.group)
        and (_has(rule.get("resources"), act.resource) or _any_of(act.resource, rule.get("resources") or ()))
        and (not names or act.name in names)
    )


def _has(listed: Iterable[str] | None, value: str) -> bool:
    known = listed or ()
    return "*" in known or value in known


def _any_of(resource: str, listed: Iterable[str]) -> bool:
    """``*/scale`` is the subresource of every resource."""
    _, slash, sub = resource.partition("/")
    return bool(slash) and f"*/{sub}" in listed
