"""Admission: asks the ValidatingAdmissionPolicies that are bound about everything that would be stored.

Where Kubernetes asks them: after validation, once the object is complete (name, uid and time of a new one included), and
right before it is stored; for dry runs too. The order of answers, the messages and statuses are those of the API server
(``apiserver/pkg/admission/plugin/policy/validating``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chaos.lab.api.authorizing import ADMINISTRATOR, User
from chaos.lab.api.errors import ApiError
from chaos.lab.api.paths import Target
from chaos.lab.api.policies import CODES, Check, Failed, Policy, Uncompilable, compiled
from chaos.lab.api.resources import (
    ADMISSION_BINDINGS,
    ADMISSION_POLICIES,
    NAMESPACES,
    Resource,
)
from chaos.lab.api.selectors import Requirement
from chaos.lab.api.store import Object, Store

_NEVER: Final = (ADMISSION_POLICIES, ADMISSION_BINDINGS)
"""What no policy is asked about, so that a bad one can always be corrected."""
_NAMESPACE_FIELDS: Final = (
    "name",
    "labels",
    "annotations",
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
)
_LONGEST: Final = 5 * 1024
_OPERATORS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
"""Those of ``matchExpressions``, as label selectors in words have them."""


@dataclass(frozen=True)
class _Denial:
    message: str
    reason: str


@dataclass(frozen=True)
class _Asked:
    """One request, seen by one policy: the version is the one that the policy's rules name."""

    resource: Resource
    version: str
    subresource: str
    namespace: str
    name: str
    operation: str
    new: Object | None
    old: Object | None


class Admission:
    """The policies of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._compiled: dict[str, tuple[str, Policy | Uncompilable]] = {}

    def review(self, target: Target, user: User | None, *, name: str, dry_run: bool) -> Review:
        """What the store asks before it stores; ``name`` as the request has it."""
        return Review(self, target, user, name=name, dry_run=dry_run)

    def bound(self) -> Iterator[tuple[Object, Object]]:
        """Every policy with each of its bindings. A policy without any has no effect."""
        bindings = self._store.list(ADMISSION_BINDINGS)
        for policy in self._store.list(ADMISSION_POLICIES):
            for binding in bindings:
                if binding["spec"]["policyName"] == policy["metadata"]["name"]:
                    yield policy, binding

    def namespace(self, name: str) -> Object | None:
        """The stored namespace; ``None`` where there is none."""
        return self._store.find(NAMESPACES, None, name)

    def program(self, policy: Object) -> Policy:
        """The policy's CEL, compiled once for each version of the policy; raises ``Uncompilable``."""
        meta = policy["metadata"]
        version, found = self._compiled.get(meta["uid"], ("", None))
        if found is None or version != meta["resourceVersion"]:
            try:
                found = compiled(policy["spec"])
            except Uncompilable as error:
                found = error
            self._compiled[meta["uid"]] = (meta["resourceVersion"], found)
        if isinstance(found, Uncompilable):
            raise found
        return found


class Review:
    """Asks about one request; ``warnings`` is what bindings with the action Warn said."""

    def __init__(self, admission: Admission, target: Target, user: User | None, *, name: str, dry_run: bool) -> None:
        self._admission, self._target, self._name, self._dry_run = admission, target, name, dry_run
        username, groups = (user.name, user.groups) if user else ADMINISTRATOR
        self._user = {"username": username, "groups": list(groups)}
        self.warnings: list[str] = []

    def __call__(self, new: Object | None, old: Object | None) -> None:
        """Raises ``ApiError`` where a policy denies it.

        Args:
            new: What would be stored; ``None`` for a deletion.
            old: What is stored; ``None`` for a creation.
        """
        if self._target.resource in _NEVER:
            return
        operation = "DELETE" if new is None else "CREATE" if old is None else "UPDATE"
        meta = (new or old or {})["metadata"]
        denied: list[tuple[str, str, _Denial]] = []
        for policy, binding in self._admission.bound():
            asked = self._seen_by(policy["spec"].get("matchConstraints") or {}, operation, meta, new, old)
            if asked is None or not self._fits(binding["spec"].get("matchResources") or {}, asked):
                continue
            names = policy["metadata"]["name"], binding["metadata"]["name"]
            actions = binding["spec"]["validationActions"]
            for denial in self._denials(policy, asked):
                if "Deny" in actions:
                    denied.append((*names, denial))
                if "Warn" in actions:
                    self.warnings.append(
                        f"Validation failed for {ADMISSION_POLICIES.kind} '{names[0]}' with binding '{names[1]}': {denial.message}"
                    )
        if denied:
            raise self._refusal(*denied[0], name=str(meta.get("name") or ""))

    # --- which policies ----------------------------------------------------------------------------------------------

    def _seen_by(
        self, match: Mapping[str, Any], operation: str, meta: Mapping[str, Any], new: Object | None, old: Object | None
    ) -> _Asked | None:
        """The request in the first version that the rules name; the request's own goes before."""
        target = self._target
        others = () if match.get("matchPolicy") == "Exact" else target.resource.versions
        for version in dict.fromkeys((target.version, *others)):
            served = target.resource.api_version(version)
            asked = _Asked(
                target.resource, version, target.subresource or "", str(meta.get("namespace") or ""), self._name,
                operation, None if new is None else {**new, "apiVersion": served}, None if old is None else {**old, "apiVersion": served},
            )  # fmt: skip
            if self._fits(match, asked):
                return asked
        return None

    def _fits(self, match: Mapping[str, Any], asked: _Asked) -> bool:
        rules = match.get("resourceRules")
        if rules and not any(_names(rule, asked) for rule in rules):
            return False
        if any(_names(rule, asked) for rule in match.get("excludeResourceRules") or ()):
            return False
        objects = [obj for obj in (asked.new, asked.old) if obj is not None]
        chosen = match.get("objectSelector")
        if chosen and not any(_selects(chosen, obj["metadata"].get("labels") or {}) for obj in objects):
            return False
        places = match.get("namespaceSelector")
        if not places or (not asked.resource.namespaced and asked.resource is not NAMESPACES):
            return True
        of = objects[0] if asked.resource is NAMESPACES else self._admission.namespace(asked.namespace)
        return of is not None and _selects(places, of["metadata"].get("labels") or {})

    # --- what they say -----------------------------------------------------------------------------------------------

    def _denials(self, policy: Object, asked: _Asked) -> Iterator[_Denial]:
        fails = policy["spec"].get("failurePolicy", "Fail") == "Fail"
        try:
            program = self._admission.program(policy)
        except Uncompilable as error:
            if fails:
                yield _Denial(f"failed to configure policy: {error}", "Invalid")
            return
        known = self._known(asked)
        try:
            if not _meets(program, known):
                return
        except Failed as error:
            if fails:
                yield _Denial(str(error), "Invalid")
            return
        errors = _fill(program, known)
        for check in program.checks:
            try:
                if not check.expression.value(known):
                    yield _Denial(_told(check, known), check.reason)
            except Failed as error:
                if fails:
                    told = next(
                        (f"composited variable {name!r}: {why}" for name, why in errors.items() if name in str(error)),
                        str(error),
                    )
                    yield _Denial(
                        f"expression '{' '.join(check.expression.text.split())}' resulted in error: {told}", "Invalid"
                    )

    def _known(self, asked: _Asked) -> dict[str, Any]:
        kind = {"group": asked.resource.group, "version": asked.version, "kind": asked.resource.kind}
        resource = {"group": asked.resource.group, "version": asked.version, "resource": asked.resource.plural}
        request: dict[str, Any] = {
            "kind": kind, "resource": resource, "requestKind": {**kind, "version": self._target.version},
            "requestResource": {**resource, "version": self._target.version},
            "operation": asked.operation, "userInfo": self._user, "dryRun": self._dry_run,
        }  # fmt: skip
        named = {"name": asked.name, "namespace": asked.namespace, "subResource": asked.subresource}
        request |= {
            key: value for key, value in named.items() if value
        }  # absent where empty, as Kubernetes encodes them
        place = self._admission.namespace(asked.namespace) if asked.resource.namespaced else None
        if place is not None:
            meta = {key: place["metadata"][key] for key in _NAMESPACE_FIELDS if key in place["metadata"]}
            place = {
                "apiVersion": "v1",
                "kind": "Namespace",
                **{k: place[k] for k in ("spec", "status") if k in place},
                "metadata": meta,
            }
        return {"object": asked.new, "oldObject": asked.old, "request": request, "namespaceObject": place}

    def _refusal(self, policy: str, binding: str, denial: _Denial, *, name: str) -> ApiError:
        res = self._target.resource
        said = f"{ADMISSION_POLICIES.kind} '{policy}' with binding '{binding}' denied request: {denial.message}"
        title = f"{res.plural}.{res.group}" if res.group else res.plural
        details = {"name": name, "group": res.group, "kind": res.plural, "causes": [{"message": said}]}
        return ApiError(CODES[denial.reason], denial.reason, f'{title} "{name}" is forbidden: {said}', details=details)


def _meets(program: Policy, known: Mapping[str, Any]) -> bool:
    """Whether all conditions hold; one that doesn't outweighs the errors of others."""
    failed: Failed | None = None
    for name, condition in program.conditions:
        try:
            if not condition.value(known):
                return False
        except Failed as error:
            failed = Failed(f"match condition {name!r}: {error}")
    if failed is not None:
        raise failed
    return True


def _fill(program: Policy, known: dict[str, Any]) -> dict[str, Failed]:
    """Adds the variables' values. One that failed is left out, so that it matters only to those that use it."""
    errors: dict[str, Failed] = {}
    for name, expression in program.variables:
        try:
            known[f"variables.{name}"] = expression.value(known)
        except Failed as error:
            earlier = next((why for bad, why in errors.items() if bad in str(error)), error)
            errors[f"variables.{name}"] = earlier
    return errors


def _told(check: Check, known: Mapping[str, Any]) -> str:
    """The message; a messageExpression that fails, or says nothing that fits in a line, falls back as Kubernetes has it."""
    said = ""
    if check.says is not None:
        try:
            said = str(check.says.value(known)).strip()
        except Failed:
            said = ""
        if len(said.encode()) > _LONGEST or "\n" in said:
            said = ""
    return said or check.message.strip() or f"failed expression: {check.expression.text.strip()}"


def _names(rule: Mapping[str, Any], asked: _Asked) -> bool:
    scope, names = rule.get("scope", "*"), rule.get("resourceNames") or ()
    return (
        _has(rule["apiGroups"], asked.resource.group)
        and _has(rule["apiVersions"], asked.version)
        and _has(rule["operations"], asked.operation)
        and any(_is_resource(one, asked) for one in rule["resources"])
        and scope in ("*", "Namespaced" if asked.resource.namespaced else "Cluster")
        and (not names or asked.name in names)
    )


def _is_resource(pattern: str, asked: _Asked) -> bool:
    """``*`` is every resource without its subresources, ``*/*`` is all, ``pods/*`` those of one."""
    plural, _, sub = pattern.partition("/")
    return plural in ("*", asked.resource.plural) and sub in ({"*", asked.subresource} if sub else {asked.subresource})


def _has(listed: list[str], value: str) -> bool:
    return "*" in listed or value in listed


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    asked = (
        Requirement(one["key"], _OPERATORS[one["operator"]], tuple(one.get("values") or ()))
        for one in selector.get("matchExpressions") or ()
    )
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(one.holds(labels) for one in asked)
