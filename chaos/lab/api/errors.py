"""Errors as Kubernetes says them: every one becomes a ``Status`` object (``apimachinery/pkg/api/errors/errors.go``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaos.lab.api.resources import Resource
from chaos.lab.api.validation import Cause


class ApiError(Exception):
    """An answer other than success.

    Args:
        code: HTTP status.
        reason: Kubernetes' ``StatusReason``; empty where Kubernetes gives none.
        message: For people.
        details: What the Status names; ``None`` where it has no details at all.
        metadata: Of the Status: where a list may be continued.
        plain: It is told as text and not as a Status, as by what serves paths that are no resources.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        causes: Sequence[Cause] = (),
        metadata: dict[str, Any] | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.causes = tuple(causes)
        self.metadata = metadata or {}
        self.plain = plain

    def status(self) -> dict[str, Any]:
        """The ``Status`` object."""
        told: dict[str, Any] = {
            "kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure", "message": self.message,
        }  # fmt: skip
        if self.reason:
            told["reason"] = self.reason
        if self.details is not None or self.causes:
            details = {key: value for key, value in (self.details or {}).items() if value}
            if self.causes:
                details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in self.causes]
            told["details"] = details
        return {**told, "code": self.code}


def _details(res: Resource, name: str) -> dict[str, Any]:
    return {"name": name, "group": res.group, "kind": res.plural}


def _title(res: Resource) -> str:
    return f"{res.plural}.{res.group}" if res.group else res.plural


def not_found(res: Resource, name: str) -> ApiError:
    """404: no object of this name."""
    return ApiError(404, "NotFound", f'{_title(res)} "{name}" not found', details=_details(res, name))


def already_exists(res: Resource, name: str, *, going: bool = False) -> ApiError:
    """409: there is one of this name; ``going``: it is being deleted."""
    message = f'{"object is being deleted: " if going else ""}{_title(res)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(res, name))


def terminating(res: Resource, name: str, namespace: str) -> ApiError:
    """403: nothing new gets into a namespace that is being deleted."""
    cause = Cause(
        reason="NamespaceTerminating", message=f"namespace {namespace} is being terminated", field="metadata.namespace"
    )
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(res, name, why, causes=[cause])


def forbidden(res: Resource, name: str, why: str, *, causes: Sequence[Cause] = ()) -> ApiError:
    """403, whoever asks."""
    message = f'{_title(res)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=_details(res, name), causes=causes)


def conflict(res: Resource, name: str, why: str) -> ApiError:
    """409: the object is not what the writer thought."""
    message = f'Operation cannot be fulfilled on {_title(res)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(res, name))


def modified(res: Resource, name: str) -> ApiError:
    """409: somebody else has written since."""
    return conflict(
        res, name, "the object has been modified; please apply your changes to the latest version and try again"
    )


def other_uid(res: Resource, namespace: str | None, name: str, asked: str, found: str) -> ApiError:
    """409: an object of this name is there, and it is another one."""
    key = "/".join(filter(None, ("/registry", res.group, res.plural, namespace, name)))
    why = (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: {asked}, UID in object meta: {found}"
    )
    return conflict(res, name, why)


def unmet(res: Resource, name: str, why: str) -> ApiError:
    """409: a deletion's precondition does not hold; Kubernetes names the kind here and not the resource."""
    group = f".{res.group}" if res.group else ""
    message = f'Operation cannot be fulfilled on {res.kind}{group} "{name}": {why}'
    return ApiError(409, "Conflict", message, details={**_details(res, name), "kind": res.kind})


def invalid(res: Resource, name: str, causes: Sequence[Cause], *, kind: str | None = None) -> ApiError:
    """422: a rule rejects the object, of its own kind or as ``kind``."""
    return invalid_kind(res.group, kind or res.kind, name, causes)


def invalid_kind(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422, of what is no resource: options, reviews, patches. A cause that comes twice is told once."""
    told = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    text = f"[{', '.join(told)}]" if len(told) > 1 else "".join(told)
    title = f"{kind}.{group}" if group else kind
    details = {"name": name, "group": group, "kind": kind}
    return ApiError(422, "Invalid", f'{title} "{name}" is invalid: {text}', details=details, causes=causes)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def page_not_found() -> ApiError:
    """404: no such path, and no such group or custom resource."""
    return ApiError(404, "NotFound", "404 page not found\n", plain=True)


def no_resource() -> ApiError:
    """404: a group of Kubernetes' own has no such resource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def not_allowed() -> ApiError:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details={})


def unreadable(accepted: Sequence[str]) -> ApiError:
    """415: the body is written as nobody here reads it."""
    told = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", told + ", ".join(accepted))


def internal(message: str) -> ApiError:
    """500, where Kubernetes answers so on purpose: its errors that have no status of their own."""
    return ApiError(500, "", message)


def expired(message: str, *, token: str = "") -> ApiError:
    """410: a version that is no longer kept; ``token`` says how to go on with a list regardless."""
    metadata: dict[str, Any] = {"continue": token} if token else {}
    return ApiError(410, "Expired", message, metadata=metadata)


def too_large(version: int, current: int) -> ApiError:
    """504: a version that is not there yet; the client shall come again."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return ApiError(504, "Timeout", message, details=details)
