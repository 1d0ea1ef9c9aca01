"""What a request's query asks for, checked as ``apimachinery/pkg/apis/meta/v1/validation`` checks it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.datastructures import QueryParams
from starlette.requests import Request

from chaos.lab.api import typed
from chaos.lab.api.errors import bad_request, internal, invalid_kind
from chaos.lab.api.patching import APPLY_PATCH
from chaos.lab.api.paths import is_set
from chaos.lab.api.resources import Resource
from chaos.lab.api.selectors import Selector
from chaos.lab.api.validation import Cause

Strictness = Literal["Strict", "Warn", "Ignore"]
_GROUP: Final = "meta.k8s.io"
_STRICTNESS: Final = ("Ignore", "Warn", "Strict")
_MANAGER_MOST: Final = 128
_KINDS: Final = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
_PROPAGATIONS: Final = ("Foreground", "Background", "Orphan")
_FIELDS: Final = ("metadata.name", "metadata.namespace")
_EXACT: Final = "Exact"
_NOT_OLDER: Final = "NotOlderThan"
_LONGEST_WATCH: Final = 3600
"""Seconds that a watch lasts where its client does not say."""


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """Of a write.

    Args:
        dry_run: Nothing is stored.
        manager: Who owns what is written, where the client says so.
        strictness: What becomes of fields that the schema does not have.
        force: An apply takes fields away from others.
    """

    dry_run: bool
    manager: str
    strictness: Strictness
    force: bool


@dataclass(frozen=True, kw_only=True)
class DeleteOptions:
    """The options of a deletion. ``propagation`` is empty where the kind's default holds."""

    dry_run: bool
    uid: str | None
    version: str | None
    propagation: str


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Of a list or a watch.

    Args:
        selector: What it is narrowed to.
        version: ``resourceVersion`` as it was sent.
        exact: The list is to be of just that version.
        limit: How many objects a page has; 0 is all.
        token: How to go on with a list.
        timeout: Seconds after which a watch ends.
        initial: Whether a watch tells what is there first; ``None`` where the version decides.
        bookmarks: Whether a watch may tell where it is.
    """

    selector: Selector | None
    version: str
    exact: bool
    limit: int
    token: str
    timeout: int
    initial: bool | None
    bookmarks: bool


def write_options(request: Request, patch_type: str = "") -> WriteOptions:
    """The options of a POST, PUT or PATCH; raises ``ApiError`` 422."""
    query = request.query_params
    _refuse(_KINDS[request.method], _write_causes(query, patch_type, patched=request.method == "PATCH"))
    strictness = query.get("fieldValidation") or "Warn"
    return WriteOptions(
        dry_run=bool(query.get("dryRun")), manager=query.get("fieldManager", ""), strictness=strictness,  # type: ignore[arg-type]
        force=is_set(query, "force"),
    )  # fmt: skip


def _write_causes(query: QueryParams, patch_type: str, *, patched: bool) -> Iterator[Cause]:
    manager = query.get("fieldManager", "")
    if patched and patch_type != APPLY_PATCH and "force" in query:
        yield Cause.forbidden("force", "may not be specified for non-apply patch")
    if patched and patch_type == APPLY_PATCH and not manager:
        yield Cause.required("fieldManager", "is required for apply patch")
    if len(manager.encode()) > _MANAGER_MOST:
        yield Cause.too_long("fieldManager", _MANAGER_MOST)
    at = next((at for at, char in enumerate(manager) if not char.isprintable()), None)
    if at is not None:
        why = f"invalid character U+{ord(manager[at]):04X} (at position {at})"
        yield Cause.invalid("fieldManager", manager, why)
    yield from _dry_run_causes(query.getlist("dryRun"))
    strictness = query.get("fieldValidation", "")
    if strictness and strictness not in _STRICTNESS:
        yield Cause.unsupported("fieldValidation", strictness, ("", *_STRICTNESS))


def _dry_run_causes(chosen: Sequence[str]) -> Iterator[Cause]:
    if any(value != "All" for value in chosen):
        yield Cause.unsupported("dryRun", list(chosen), ("All",))


def delete_options(request: Request, body: Mapping[str, Any]) -> DeleteOptions:
    """The options of a DELETE, from its body or, where it has none, from its query; raises ``ApiError`` 400 or 422."""
    if body.get("kind") not in (None, "", "DeleteOptions"):
        raise bad_request(f"{body['kind']} cannot be handled as a DeleteOptions")
    try:
        given = typed.delete_options(body)
    except typed.Unfit as error:
        raise bad_request(f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: {error}') from error
    if not body:
        query = request.query_params
        given = {key: query[key] for key in ("propagationPolicy", "orphanDependents") if key in query}
        if "orphanDependents" in given:
            given["orphanDependents"] = is_set(query, "orphanDependents")
        if "gracePeriodSeconds" in query:
            given["gracePeriodSeconds"] = _integer(query["gracePeriodSeconds"])
    dry_run = [*request.query_params.getlist("dryRun"), *(given.get("dryRun") or ())]
    policy, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    _refuse("DeleteOptions", _delete_causes(policy, orphan, dry_run))
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    wants = given.get("preconditions") or {}
    return DeleteOptions(
        dry_run=bool(dry_run), uid=wants.get("uid"), version=wants.get("resourceVersion"), propagation=policy or ""
    )


def _delete_causes(policy: str | None, orphan: object, dry_run: Sequence[str]) -> Iterator[Cause]:
    if policy is not None and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        yield Cause.invalid("propagationPolicy", policy, why)
    if policy is not None and policy not in _PROPAGATIONS:
        yield Cause.unsupported("propagationPolicy", policy, (*_PROPAGATIONS, "nil"))
    yield from _dry_run_causes(dry_run)


def list_options(request: Request, res: Resource, *, watch: bool) -> ListOptions:
    """The options of a list or a watch; raises ``ApiError`` 400 for what can't be read, 422 for what does not go together."""
    query = request.query_params
    limit, timeout = _integer(query.get("limit", "")), _integer(query.get("timeoutSeconds", ""))
    chosen = selector(query, res)
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    causes = _watch_causes(query, match) if watch else _list_causes(query, match, version)
    _refuse("ListOptions", causes)
    # A page of a version is of just that version, also where nobody says so: the rule from before resourceVersionMatch.
    exact = match == _EXACT or (not match and limit > 0 and version not in ("", "0"))
    return ListOptions(
        selector=chosen, version=version, exact=exact, limit=max(0, limit), token=query.get("continue", ""),
        timeout=timeout if timeout > 0 else _LONGEST_WATCH,
        initial=is_set(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
        bookmarks=is_set(query, "allowWatchBookmarks"),
    )  # fmt: skip


def _list_causes(query: QueryParams, match: str, version: str) -> Iterator[Cause]:
    if match:
        if not version:
            why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            yield Cause.forbidden("resourceVersionMatch", why)
        if query.get("continue"):
            yield Cause.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        if match not in (_EXACT, _NOT_OLDER):
            yield Cause.unsupported("resourceVersionMatch", match, (_EXACT, _NOT_OLDER, ""))
        if match == _EXACT and version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            yield Cause.forbidden("resourceVersionMatch", why)
    if "sendInitialEvents" in query:
        yield Cause.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _watch_causes(query: QueryParams, match: str) -> Iterator[Cause]:
    initial = "sendInitialEvents" in query
    if initial and match != _NOT_OLDER:
        why = f"sendInitialEvents requires setting resourceVersionMatch to {_NOT_OLDER}"
        yield Cause.forbidden("resourceVersionMatch", why)
    if match:
        if not initial:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            yield Cause.forbidden("resourceVersionMatch", why)
        if match != _NOT_OLDER:
            yield Cause.unsupported("resourceVersionMatch", match, (_NOT_OLDER,))
        if query.get("continue"):
            yield Cause.forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")


def selector(query: QueryParams, res: Resource) -> Selector | None:
    """What a list, a watch or the deletion of many is narrowed to; raises ``ApiError`` 400."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not labels and not fields:
        return None
    chosen = Selector(labels, fields)
    unknown = next((path for path in chosen.paths if path not in (*_FIELDS, *res.fields)), None)
    if unknown is None:
        return chosen
    if res.custom or res.fields:
        raise bad_request(f"field label not supported: {unknown}")
    raise bad_request(f'"{unknown}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def version_number(text: str, *, of_list: bool = False) -> int:
    """A resourceVersion; raises ``ApiError`` 500 as Kubernetes does, of a list 400."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    told = Cause.invalid("resourceVersion", text, f'strconv.ParseUint: parsing "{text}": invalid syntax')
    why = f"{told.field}: {told.message}"
    raise bad_request(f"invalid resource version: {why}") if of_list else internal(why)


def _integer(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d+", text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _refuse(kind: str, causes: Iterator[Cause]) -> None:
    found = list(causes)
    if found:
        raise invalid_kind(_GROUP, kind, "", found)
