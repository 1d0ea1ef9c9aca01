from __future__ import annotations

from typing import Any

import pytest

from chaos.injection.matching import NotExpressible, narrow

Block = dict[str, Any]


@pytest.mark.parametrize(
    ("one", "two", "both"),
    [
        ({}, {}, {}),
        ({"uri": {"prefix": "/a"}}, {}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a/b"}}, {"uri": {"exact": "/a/b"}}),
        ({"uri": {"exact": "/a/b"}}, {"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a/b"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a/b"}}),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}, None),
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}, None),
        ({"uri": {"exact": "/a"}}, {"uri": {"prefix": "/b"}}, None),
        ({"sourceLabels": {"app": "x"}}, {"sourceLabels": {"app": "y"}}, None),
        ({"sourceLabels": {"app": "x"}}, {"sourceLabels": {"v": "1"}}, {"sourceLabels": {"app": "x", "v": "1"}}),
        ({"headers": {"h": {}}}, {"headers": {"h": {"exact": "1"}}}, {"headers": {"h": {"exact": "1"}}}),
        ({"headers": {"h": {"exact": "2"}}}, {"headers": {"h": {"exact": "1"}}}, None),
        ({"uri": {"regex": ".*"}}, {"uri": {"regex": ".*"}}, {"uri": {"regex": ".*"}}),
        ({"name": "n", "port": 80}, {"port": 80}, {"port": 80}),
    ],
)
def test_narrow(one: Block, two: Block, both: Block | None) -> None:
    assert narrow(one, two) == both


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"uri": {"regex": "/a.*"}}, {"uri": {"prefix": "/a"}}),
        ({"ignoreUriCase": True}, {"ignoreUriCase": False}),
        ({"withoutHeaders": {"h": {}}}, {"withoutHeaders": {"h": {"exact": "1"}}}),
    ],
)
def test_what_can_not_be_joined_is_said(one: Block, two: Block) -> None:
    with pytest.raises(NotExpressible):
        narrow(one, two)
