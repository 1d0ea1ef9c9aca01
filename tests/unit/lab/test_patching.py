"""JSON Patch as the API server applies it; what RFC 6902 says is ``jsonpatch``'s."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.lab.api.errors import ApiError
from chaos.lab.api.patching import JSON_PATCH, apply_patch

OBJECT = {"spec": {"hosts": ["a", "b"], "port": 1}}


def patched(*steps: dict[str, Any]) -> Any:
    return apply_patch(JSON_PATCH, OBJECT, list(steps), custom=True)["spec"]


@pytest.mark.parametrize(
    ("step", "spec"),
    [
        ({"op": "replace", "path": "/spec/http", "value": []}, {**OBJECT["spec"], "http": []}),
        ({"op": "replace", "path": "/spec/hosts/1", "value": "c"}, {**OBJECT["spec"], "hosts": ["a", "c"]}),
        ({"op": "test", "path": "/spec/http", "value": None}, OBJECT["spec"]),
        ({"op": "test", "path": "/spec/http"}, OBJECT["spec"]),
    ],
)
def test_what_the_api_server_takes_beside_the_rfc(step: dict[str, Any], spec: dict[str, Any]) -> None:
    assert patched(step) == spec
    assert OBJECT == {"spec": {"hosts": ["a", "b"], "port": 1}}


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/spec/hosts/2", "value": "c"},
        {"op": "replace", "path": "/nothing/here", "value": 1},
        {"op": "replace", "path": "/spec/http"},
        {"op": "test", "path": "/spec/http", "value": 1},
        {"op": "test", "path": "/spec/port", "value": True},
        {"op": "test", "path": "/spec/hosts/2", "value": None},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "spec", "value": {}},
        {"op": "surprise", "path": "/spec"},
        {"path": "/spec"},
        "no operation",
    ],
)
def test_what_can_not_be_applied_is_refused(step: Any) -> None:
    with pytest.raises(ApiError) as caught:
        patched(step)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
