"""A body on its way into the store: what of it is taken, what is warned of, and what refuses it.

In the order of the API server: the type or schema reads it, then come the rules of metadata and kind, then the webhook,
then the admission policies, each asked only where the one before it is content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chaos.lab.api import kinds, metadata, typed
from chaos.lab.api.errors import ApiError, bad_request, internal, invalid, invalid_kind
from chaos.lab.api.options import Strictness
from chaos.lab.api.paths import Target
from chaos.lab.api.resources import GATEWAYS, PROMETHEUS_RULES, Resource
from chaos.lab.api.store import Admit, Object
from chaos.lab.api.validation import Cause, Validation, Validator, dotted

_ISTIO: Final = "validation.istio.io"
_WEBHOOKS: Final = {"monitoring.coreos.com": "prometheusrulevalidate.monitoring.coreos.com"}
"""By group, the webhook whose part the lab plays; Istio's for all others."""
_WITHOUT_RULES: Final = (GATEWAYS, PROMETHEUS_RULES)
"""Custom kinds whose schemas have no rules in CEL."""
_BLOCKING: Final = ("FieldValueRequired", "FieldValueTypeInvalid", "FieldValueTooLong", "FieldValueNotFound")
_UNCHECKED: Final = Cause(
    field="<nil>",
    message="Invalid value: null: some validation rules were not checked because the object was invalid; correct the "
    "existing errors to complete validation",
)
"""What the API server adds where errors kept it from asking the rules in CEL (``apiextensions-apiserver``, ``hasBlockingErr``)."""


@dataclass(frozen=True)
class Received:
    """A body as its kind takes it."""

    object: Object
    warnings: tuple[str, ...]
    found: Validation


class Checker:
    """What the kinds of one lab ask of their objects.

    Args:
        validators: By kind, beside the rules that Kubernetes' own kinds have.
    """

    def __init__(self, validators: Mapping[str, Validator]) -> None:
        self._validators = validators

    def sent(self, target: Target, obj: Object, duplicates: Iterable[str], strictness: Strictness) -> Received:
        """The object of a POST or PUT.

        Raises:
            ApiError: 400, it is of another type, or has unknown fields under strict validation.
        """
        _fits(obj, target)
        res = target.resource
        handled = f'{res.kind} in version "{target.version}" cannot be handled as a {res.kind}'
        try:
            decoded, unknown, found = self._decoded(target, obj)
        except typed.Unfit as error:
            raise bad_request(f"{handled}: {error}") from error
        told = [*(f'duplicate field "{path}"' for path in duplicates), *(f'unknown field "{path}"' for path in unknown)]
        if told and strictness == "Strict":
            raise bad_request(f"{handled}: strict decoding error: {', '.join(told)}")
        return self._received(decoded, told if strictness == "Warn" else (), found)

    def patched(self, target: Target, obj: Object, strictness: Strictness) -> Received:
        """An object as a patch has made it.

        Raises:
            ApiError: 422, the patch has put in what the type can't take, or unknown fields under strict validation.
        """
        try:
            decoded, unknown, found = self._decoded(target, obj)
        except typed.Unfit as error:
            raise _bad_patch(obj, str(error)) from error
        told = [f'unknown field "{path}"' for path in unknown]
        if told and strictness == "Strict":
            raise _bad_patch(obj, f"strict decoding error: {', '.join(told)}")
        return self._received(decoded, told if strictness == "Warn" else (), found)

    def applied(self, target: Target, name: str, obj: Object) -> None:
        """Looks at what somebody applies, before it is merged.

        Raises:
            ApiError: 500, there is a field that the schema does not have: an apply can't own it, so nothing drops it.
        """
        res = target.resource
        try:
            _, unknown, _ = self._decoded(target, obj)
        except typed.Unfit:
            return  # of what is merged the same is said, as of any patch
        if unknown:
            told = [f".{path}: field not declared in schema" for path in unknown]
            text = told[0] if len(told) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in told)
            served = res.api_version(target.version)
            kind = f"{served}, Kind={res.kind}" if res.group else f"/{served}, Kind={res.kind}"
            raise internal(f"failed to create typed patch object ({target.namespace or ''}/{name}; {kind}): {text}")

    def admit(self, target: Target, received: Received, review: Admit, *, versioned: bool = False) -> Admit:
        """What the store asks before it stores.

        Args:
            target: What the request is about.
            received: The body.
            review: The admission policies.
            versioned: It is new and came with a resourceVersion.
        """
        res, found = target.resource, received.found

        def asked(new: Object | None, old: Object | None) -> None:
            assert new is not None  # noqa: S101 - deletions have no body
            if target.subresource != "status":
                _refuse(res, new, old, found)
            review(new, old)
            if versioned:
                raise internal("resourceVersion should not be set on objects to be created")

        return asked

    def _decoded(self, target: Target, obj: Object) -> tuple[Object, list[str], Validation]:
        res = target.resource
        decoded = typed.decode(res, obj)
        if res.namespaced and not decoded.object["metadata"].get("namespace"):
            decoded.object["metadata"]["namespace"] = target.namespace  # before anybody reads it
        validator = self._validators.get(res.kind)
        found = Validation() if validator is None else validator(decoded.object)
        found.prune(decoded.object)
        return decoded.object, [dotted(path) for path in (*decoded.unknown, *found.unknown)], found

    @staticmethod
    def _received(obj: Object, told: Iterable[str], found: Validation) -> Received:
        meta = obj["metadata"]
        return Received(obj, (*told, *metadata.told_once(meta), *metadata.warnings(meta), *found.warnings), found)


def _fits(obj: Object, target: Target) -> None:
    """Of Kubernetes' own kinds, what is not said is taken for granted."""
    res, served = target.resource, target.resource.api_version(target.version)
    if res.custom and not obj.get("kind"):
        shown = json.dumps(obj, ensure_ascii=False)
        raise bad_request(
            f"the object provided is unrecognized (must be of type {res.kind}): Object 'Kind' is missing in '{shown}'"
        )
    version, kind = obj.get("apiVersion") or ("" if res.custom else served), obj.get("kind") or res.kind
    if version != served:
        raise bad_request(
            f"the API version in the data ({version or '/'}) does not match the expected API version ({served})"
        )
    if kind == res.kind:
        return
    if res.custom:
        name = str((obj.get("metadata") or {}).get("name") or "")
        raise invalid(res, name, [Cause.invalid("kind", kind, f"must be {res.kind}")], kind=str(kind))
    raise bad_request(
        f'{kind} in version "{target.version}" cannot be handled as a {res.kind}: converting ({target.version}.{kind}) to '
        f"({res.group or 'core'}.{res.kind}): unknown conversion"
    )


def _refuse(res: Resource, new: Object, old: Object | None, found: Validation) -> None:
    meta = new["metadata"]
    name = str(meta.get("name") or "")
    problems = metadata.problems(res, meta) if old is None else metadata.changed_problems(meta, old["metadata"])
    causes = [*problems, *kinds.problems(res, new, old), *found.causes]
    if causes:
        unasked = res.custom and res not in _WITHOUT_RULES and any(cause.reason in _BLOCKING for cause in causes)
        raise invalid(res, name, [*causes, _UNCHECKED] if unasked else causes)
    if found.denied:
        webhook = _WEBHOOKS.get(res.group, _ISTIO)
        raise ApiError(400, "", f'admission webhook "{webhook}" denied the request: {found.denied}')


def _bad_patch(obj: Object, why: str) -> ApiError:
    shown = json.dumps(obj, ensure_ascii=False, separators=(",", ":"))
    return invalid_kind("", "", "", [Cause.invalid("patch", shown, why)])
