"""Errors as Kubernetes says them: every one becomes a ``Status`` object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaos.lab.api.resources import Resource
from chaos.lab.api.validation import Cause


class ApiError(Exception):
    """An answer other than success.

    Args:
        code: HTTP status.
        reason: Kubernetes' ``StatusReason``.
        message: For people.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        causes: Sequence[Cause] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.causes = tuple(causes)

    def status(self) -> dict[str, Any]:
        """The ``Status`` object."""
        details = dict(self.details)
        if self.causes:
            details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in self.causes]
        return {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": details, "code": self.code,
        }  # fmt: skip


def _details(res: Resource, name: str) -> dict[str, Any]:
    return {"name": name, "group": res.group, "kind": res.plural}


def _title(res: Resource) -> str:
    return f"{res.plural}.{res.group}" if res.group else res.plural


def not_found(res: Resource, name: str) -> ApiError:
    """404: no object of this name."""
    return ApiError(404, "NotFound", f'{_title(res)} "{name}" not found', details=_details(res, name))


def already_exists(res: Resource, name: str) -> ApiError:
    """409: there is one of this name."""
    return ApiError(409, "AlreadyExists", f'{_title(res)} "{name}" already exists', details=_details(res, name))


def conflict(res: Resource, name: str, why: str) -> ApiError:
    """409: the object is not what the writer thought."""
    message = f'Operation cannot be fulfilled on {_title(res)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(res, name))


def invalid(res: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the schema rejects it."""
    group = f".{res.group}" if res.group else ""
    told = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
    text = f"[{told}]" if len(causes) > 1 else told
    details = {"name": name, "group": res.group, "kind": res.kind}
    return ApiError(422, "Invalid", f'{res.kind}{group} "{name}" is invalid: {text}', details=details, causes=causes)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def expired(message: str) -> ApiError:
    """410: a watch from a version that is no longer kept."""
    return ApiError(410, "Expired", message)
