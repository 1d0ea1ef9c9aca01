"""Regexes that Istio's webhook refuses, wherever a VirtualService may have one."""

from __future__ import annotations

import pytest

from tests.unit.lint.rules import SERVICES, told, virtual_service

TO = "route: [{destination: {host: reviews}}]"


def found(route: str) -> list[tuple[str, str]]:
    listed = told(SERVICES + virtual_service(f"{route}, {TO}"))
    return [(rule, path.removeprefix("spec.http[0].")) for rule, path in listed]


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("match: [{uri: {regex: '(?=x)'}}]", "match[0].uri.regex"),
        ("match: [{}, {method: {regex: ''}}]", "match[1].method.regex"),
        ("match: [{headers: {x-a: {regex: '*'}}}]", "match[0].headers.x-a.regex"),
        ("match: [{withoutHeaders: {x-a: {regex: 'a++'}}}]", "match[0].withoutHeaders.x-a.regex"),
        ("match: [{queryParams: {q: {regex: '(a)\\1'}}}]", "match[0].queryParams.q.regex"),
        ("corsPolicy: {allowOrigins: [{regex: '['}]}", "corsPolicy.allowOrigins[0].regex"),
        ("rewrite: {uriRegexRewrite: {match: '(?<!x)', rewrite: y}}", "rewrite.uriRegexRewrite.match"),
    ],
)
def test_what_istio_refuses(route: str, path: str) -> None:
    assert found(route) == [("regex-invalid", path)]


@pytest.mark.parametrize(
    "route",
    [
        "match: [{uri: {regex: '/a/[^/]+'}, headers: {regex: {exact: '('}}, withoutHeaders: {x-a: {regex: '*'}}}]",
        "match: [{uri: {regex: '${pattern}'}, method: {exact: '('}}]",
        "rewrite: {uriRegexRewrite: {match: '^/a/(.*)$', rewrite: '/\\1'}}",
        "match: nothing, corsPolicy: [], rewrite: 1",
    ],
)
def test_what_istio_takes_or_is_told_by_its_form(route: str) -> None:
    assert "regex-invalid" not in [rule for rule, _ in found(route)]
