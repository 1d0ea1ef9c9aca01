"""Regexes as istiod takes them: RE2's, and not Python's."""

from __future__ import annotations

import re

import pytest

from chaos.istio.regex import problem


@pytest.mark.parametrize(
    "pattern", ["a+", "(?i)x", "(?P<n>x)", "(?<n>x)", r"\pN", r"\Q*\C\E", "[[:alpha:]]", r"\z", "a{,3}", "x{1000}", r"\\C", "[]a]"]
)  # fmt: skip
def test_taken(pattern: str) -> None:
    assert problem(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=x)", "invalid perl operator"),
        ("(?<=x)", "perl operator"),
        (r"(a)\1", "invalid escape sequence"),
        (r"x\Z", "invalid escape sequence"),
        ("a++", "bad repetition operator"),
        ("*", "no argument for repetition"),
        ("x{1001}", "invalid repetition size"),
        ("(x{100}){100}", "invalid repetition size"),
        ("[a", "missing ]"),
        (r"a\C", r"\C"),
        ("(?P<é>x)", "invalid named capture"),
        ("\ud800", "not a regex of RE2"),
        ("", "must not be empty"),
        ("é" * 513, "1024 bytes at most"),
    ],
)
def test_refused(pattern: str, says: str) -> None:
    assert says in problem(pattern)


def test_python_is_no_judge_of_them() -> None:
    assert re.compile("(?=x)")
    assert problem("(?=x)")
    assert problem(r"\pN") == ""
    with pytest.raises(re.error):
        re.compile(r"\pN")
