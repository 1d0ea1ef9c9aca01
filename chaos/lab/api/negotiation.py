"""In which form a client wants its answer: the object, its metadata alone or a table, as JSON or YAML.

As ``apiserver/pkg/endpoints/handlers/negotiation`` chooses: the first range of ``Accept`` that can be met.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ruamel.yaml import YAML
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chaos.lab.api.errors import ApiError, bad_request, internal
from chaos.lab.api.paging import Page
from chaos.lab.api.paths import Target, as_served
from chaos.lab.api.table import table

Shape = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]
_JSON: Final = ("application/json", "application/*", "*/*")
_YAML: Final = "application/yaml"
_SHAPES: Final = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_INCLUDED: Final = ("", "Metadata", "Object", "None")
_META: Final = "meta.k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class View:
    """How an answer is shown.

    Args:
        shape: What is shown; empty for the objects themselves.
        yaml: It is written as YAML.
        included: What a table's rows show of their objects.
    """

    shape: Shape = ""
    yaml: bool = False
    included: str = ""

    def one(self, obj: dict[str, Any], target: Target, *, definitions: bool = True) -> dict[str, Any]:
        """One object.

        Raises:
            ApiError: 500, a list was asked for.
        """
        if self.shape == "Table":
            version = obj["metadata"].get("resourceVersion", "")
            rows = table(target.resource, [obj], definitions=definitions, shown=self._included(target))
            return {**rows, "metadata": {"resourceVersion": version}}
        if self.shape == "PartialObjectMetadataList":
            raise internal("content is not a list")
        return _metadata_of(obj) if self.shape else as_served(obj, target)

    def many(self, page: Page, target: Target) -> dict[str, Any]:
        """A list.

        Raises:
            ApiError: 406, one object was asked for.
        """
        res = target.resource
        if self.shape == "Table":
            return {
                **table(res, page.objects, definitions=True, shown=self._included(target)),
                "metadata": page.metadata,
            }
        if self.shape == "PartialObjectMetadata":
            message = "you requested PartialObjectMetadata, but the requested object is a list"
            raise ApiError(406, "NotAcceptable", message)
        if self.shape:
            items = [_metadata_of(obj) for obj in page.objects] or None
            return {"kind": self.shape, "apiVersion": _META, "metadata": page.metadata, "items": items}
        metadata = {"continue": "", **page.metadata} if res.custom else page.metadata
        return {
            "kind": f"{res.kind}List", "apiVersion": res.api_version(target.version), "metadata": metadata,
            "items": [as_served(obj, target) if res.custom else _untyped(obj) for obj in page.objects],
        }  # fmt: skip

    def response(self, content: Mapping[str, Any], *, code: int = 200) -> Response:
        """The answer as it is sent."""
        if not self.yaml:
            return JSONResponse(content, status_code=code)
        text = io.StringIO()
        writer = YAML(typ="safe", pure=True)
        writer.default_flow_style = False
        writer.dump(content, text)
        return Response(text.getvalue(), status_code=code, media_type=_YAML)

    def _included(self, target: Target) -> Any:
        if self.included == "None":
            return lambda _: None
        return (lambda obj: as_served(obj, target)) if self.included == "Object" else _metadata_of


def view(request: Request) -> View:
    """What the client asks for.

    Raises:
        ApiError: 406, nothing of it can be had; 400, a table's objects are asked for as there are none.
    """
    included = request.query_params.get("includeObject", "")
    for media_range in (request.headers.get("accept") or "*/*").split(","):
        kind, *parameters = (part.strip() for part in media_range.split(";"))
        told = dict(part.partition("=")[::2] for part in parameters)
        shape = told.get("as", "")
        if (kind not in _JSON and kind != _YAML) or (shape and not _is_known(shape, told)):
            continue
        if shape == "Table" and included not in _INCLUDED:
            why = f"includeObject: Invalid value: \"{included}\": must be 'Metadata', 'Object', 'None', or empty"
            raise bad_request(f"Unable to convert to Table as requested: {why}")
        return View(shape=shape, yaml=kind == _YAML, included=included)  # type: ignore[arg-type]
    accepted = ", ".join((_JSON[0], _YAML))
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {accepted}")


def _is_known(shape: str, told: Mapping[str, str]) -> bool:
    return shape in _SHAPES and told.get("g") == "meta.k8s.io" and told.get("v") in ("v1", "v1beta1")


def _metadata_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def _untyped(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a list of one of Kubernetes' own kinds, whose list says the kind for all."""
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
