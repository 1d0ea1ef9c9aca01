"""ValidatingAdmissionPolicies and their bindings: what they may say, and their CEL, compiled.

Compiled as the API server does it, against declared names and with types checked, by CEL's own runtime in C++
(``cel-expr-python``). What the lab can't evaluate is refused with its path: a rule that would be passed over silently is
worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from chaos.lab.api.validation import Cause, Path, Validation

POLICY: Final = "ValidatingAdmissionPolicy"
BINDING: Final = f"{POLICY}Binding"
CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}
"""What a validation may give as its reason, and the HTTP status that it leads to."""
ACTIONS: Final = ("Deny", "Warn", "Audit")
_OPERATIONS: Final = ("CREATE", "UPDATE", "DELETE", "CONNECT", "*")
_ROOTS: Final = ("object", "oldObject", "request", "namespaceObject")
_EXTENSIONS: Final = (ext_strings.ExtStrings(), ext_optional.ExtOptional())
_RULE: Final = frozenset({"apiGroups", "apiVersions", "operations", "resources", "resourceNames", "scope"})
_MATCH: Final = frozenset(
    {"resourceRules", "excludeResourceRules", "namespaceSelector", "objectSelector", "matchPolicy"}
)
_KNOWN: Final = {
    POLICY: frozenset({"matchConstraints", "matchConditions", "variables", "validations", "failurePolicy"}),
    BINDING: frozenset({"policyName", "validationActions", "matchResources"}),
}  # fmt: skip
_UNSUPPORTED: Final = {
    POLICY: {"paramKind": "parameters", "auditAnnotations": "audit annotations, there being no audit log"},
    BINDING: {"paramRef": "parameters"},
}
_VALIDATION: Final = frozenset({"expression", "message", "messageExpression", "reason"})


class Uncompilable(Exception):
    """CEL that can't be what was meant."""


class Failed(Exception):
    """CEL that gave an error instead of a value."""


@dataclass(frozen=True)
class Check:
    """One validation."""

    expression: Expression
    message: str
    says: Expression | None
    reason: str


@dataclass(frozen=True)
class Policy:
    """A policy whose CEL is compiled."""

    conditions: tuple[tuple[str, Expression], ...]
    variables: tuple[tuple[str, Expression], ...]
    checks: tuple[Check, ...]


class Expression:
    """One compiled expression.

    Args:
        text: As it is written.
        declared: Types of the policy's variables that stand before it.
        kinds: The types that it may have; any where empty.

    Raises:
        Uncompilable: names, syntax or types are not right.
    """

    def __init__(self, text: str, declared: Mapping[str, Any], *kinds: str) -> None:
        self.text = text
        names = {
            **dict.fromkeys(_ROOTS, cel.Type.DYN),
            **{f"variables.{name}": kind for name, kind in declared.items()},
        }
        try:
            self._compiled = cel.NewEnv(variables=names, extensions=list(_EXTENSIONS)).compile(text)
        except RuntimeError as error:
            raise Uncompilable(" ".join(str(error).removeprefix("INVALID_ARGUMENT: ").split())) from error
        self.type = self._compiled.return_type()
        if kinds and self.type.name() not in kinds:
            raise Uncompilable(f"must evaluate to {' or '.join(kinds).lower()}, not {self.type.name().lower()}")

    def value(self, known: Mapping[str, Any]) -> Any:
        """Its value; raises ``Failed`` where it has none."""
        try:
            found = self._compiled.eval(data=dict(known))
            if found.type() == cel.Type.ERROR:
                raise Failed(str(found.value()))
            return found.plain_value()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise Failed(str(error)) from error


def compiled(spec: Mapping[str, Any]) -> Policy:
    """The policy of a spec; raises ``Uncompilable`` where ``validate_policy`` would have said so."""
    problems, policy = _compiled(spec)
    if problems:
        raise Uncompilable(f"{problems[0].field}: {problems[0].message}")
    return policy


def _compiled(spec: Mapping[str, Any]) -> tuple[list[Cause], Policy]:
    causes: list[Cause] = []
    declared: dict[str, Any] = {}

    def expression(path: str, holder: Mapping[str, Any], key: str, *kinds: str) -> Expression | None:
        text = holder.get(key)
        if not isinstance(text, str) or not text.strip():
            causes.append(Cause(field=f"{path}.{key}", message="Required value", reason="FieldValueRequired"))
            return None
        try:
            return Expression(text, declared, *kinds)
        except Uncompilable as error:
            causes.append(Cause(field=f"{path}.{key}", message=f'Invalid value: "{text}": compilation failed: {error}'))
            return None

    conditions = [
        (str(one.get("name", "")), made)
        for at, one in enumerate(spec.get("matchConditions") or ())
        if (made := expression(f"spec.matchConditions[{at}]", one, "expression", "BOOL"))
    ]
    variables = []
    for at, one in enumerate(spec.get("variables") or ()):
        name, path = str(one.get("name", "")), f"spec.variables[{at}]"
        if not name.isidentifier() or not name.isascii():
            causes.append(
                Cause(field=f"{path}.name", message=f'Invalid value: "{name}": name is not a valid CEL identifier')
            )
        elif name in declared:
            causes.append(
                Cause(field=f"{path}.name", message=f'Duplicate value: "{name}"', reason="FieldValueDuplicate")
            )
        elif made := expression(path, one, "expression"):
            variables.append((name, made))
            declared[name] = made.type
        else:
            declared[name] = cel.Type.DYN  # so that what uses it is not told as a mistake, too
    checks = []
    for at, one in enumerate(spec.get("validations") or ()):
        path = f"spec.validations[{at}]"
        made = expression(path, one, "expression", "BOOL")
        says = expression(path, one, "messageExpression", "STRING") if "messageExpression" in one else None
        if made is not None:
            checks.append(Check(made, str(one.get("message") or ""), says, str(one.get("reason") or "Invalid")))
    return causes, Policy(tuple(conditions), tuple(variables), tuple(checks))


def validate_policy(obj: dict[str, Any]) -> Validation:
    """What the API server says of a policy, and what the lab can't do."""
    spec = obj.get("spec") or {}
    causes = [*_unsupported(POLICY, spec), *_of_policy(spec), *_compiled(spec)[0]]
    return Validation(causes=tuple(causes), unknown=_unknown(POLICY, spec))


def validate_binding(obj: dict[str, Any]) -> Validation:
    """The API server's errors in a binding, and what the lab does not support in it."""
    spec = obj.get("spec") or {}
    causes = list(_unsupported(BINDING, spec))
    if not spec.get("policyName"):
        causes.append(Cause(field="spec.policyName", message="Required value", reason="FieldValueRequired"))
    actions = spec.get("validationActions") or ()
    if not actions:
        causes.append(Cause(field="spec.validationActions", message="Required value", reason="FieldValueRequired"))
    for at, action in enumerate(actions):
        if action not in ACTIONS:
            causes.append(_one_of(f"spec.validationActions[{at}]", action, ACTIONS))
    if {"Deny", "Warn"} <= set(actions):
        causes.append(
            Cause(field="spec.validationActions", message="Invalid value: must not contain both Deny and Warn")
        )
    causes += _of_match("spec.matchResources", spec.get("matchResources") or {}, required=False)
    return Validation(causes=tuple(causes), unknown=_unknown(BINDING, spec))


VALIDATORS: Final = {POLICY: validate_policy, BINDING: validate_binding}


def _of_policy(spec: Mapping[str, Any]) -> Iterator[Cause]:
    yield from _of_match("spec.matchConstraints", spec.get("matchConstraints") or {}, required=True)
    if spec.get("failurePolicy", "Fail") not in ("Fail", "Ignore"):
        yield _one_of("spec.failurePolicy", spec["failurePolicy"], ("Fail", "Ignore"))
    if not spec.get("validations"):
        told = "Required value: validations or auditAnnotations must contain at least one item"
        yield Cause(field="spec.validations", message=told, reason="FieldValueRequired")
    for at, one in enumerate(spec.get("validations") or ()):
        path, message = f"spec.validations[{at}]", str(one.get("message") or "")
        if "\n" in message:
            yield Cause(field=f"{path}.message", message="Invalid value: must not contain line breaks")
        if "\n" in str(one.get("expression", "")).strip() and not message:
            told = "Required value: must be specified if expression contains line breaks"
            yield Cause(field=f"{path}.message", message=told, reason="FieldValueRequired")
        if one.get("reason") not in (None, *CODES):
            yield _one_of(f"{path}.reason", one["reason"], tuple(CODES))


def _of_match(path: str, match: Mapping[str, Any], *, required: bool) -> Iterator[Cause]:
    if required and not match.get("resourceRules"):
        yield Cause(field=f"{path}.resourceRules", message="Required value", reason="FieldValueRequired")
    if match.get("matchPolicy") not in (None, "Equivalent", "Exact"):
        yield _one_of(f"{path}.matchPolicy", match["matchPolicy"], ("Equivalent", "Exact"))
    for part in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(match.get(part) or ()):
            for key in ("apiGroups", "apiVersions", "operations", "resources"):
                if not rule.get(key):
                    where = f"{path}.{part}[{at}].{key}"
                    yield Cause(field=where, message="Required value", reason="FieldValueRequired")
            for operation in rule.get("operations") or ():
                if operation not in _OPERATIONS:
                    yield _one_of(f"{path}.{part}[{at}].operations", operation, _OPERATIONS)
    for part in ("namespaceSelector", "objectSelector"):
        for at, one in enumerate((match.get(part) or {}).get("matchExpressions") or ()):
            operators = ("In", "NotIn", "Exists", "DoesNotExist")
            if one.get("operator") not in operators:
                yield _one_of(f"{path}.{part}.matchExpressions[{at}].operator", one.get("operator"), operators)


def _one_of(field: str, value: object, known: Sequence[str]) -> Cause:
    told = ", ".join(f'"{one}"' for one in known)
    return Cause(
        field=field, message=f'Unsupported value: "{value}": supported values: {told}', reason="FieldValueNotSupported"
    )


def _unsupported(kind: str, spec: Mapping[str, Any]) -> Iterator[Cause]:
    for key, what in _UNSUPPORTED[kind].items():
        if spec.get(key):
            told = f"Forbidden: the lab does not support {what}"
            yield Cause(field=f"spec.{key}", message=told, reason="FieldValueForbidden")


def _unknown(kind: str, spec: Mapping[str, Any]) -> tuple[Path, ...]:
    found: list[Path] = [("spec", key) for key in spec if key not in _KNOWN[kind] and key not in _UNSUPPORTED[kind]]
    place = "matchConstraints" if kind == POLICY else "matchResources"
    match = spec.get(place) or {}
    found += [("spec", place, key) for key in match if key not in _MATCH]
    for part in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(match.get(part) or ()):
            found += [("spec", place, part, at, key) for key in rule if key not in _RULE]
    named = frozenset({"name", "expression"})
    for part, known in (("validations", _VALIDATION), ("variables", named), ("matchConditions", named)):
        for at, one in enumerate(spec.get(part) or ()):
            found += [("spec", part, at, key) for key in one if key not in known]
    return tuple(found)
