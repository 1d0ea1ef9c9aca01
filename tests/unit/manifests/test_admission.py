"""The printed admission policy: versions, patterns of namespaces, and CEL that old API servers know."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import InputError
from chaos.lab.api.policies import Expression, validate_binding, validate_policy
from chaos.manifests.admission import admission, offer, regular
from chaos.model.settings import Settings

IN_1_28 = {
    "has", "size", "exists", "all", "filter", "map", "matches", "startsWith", "endsWith", "double", "duration", "timestamp",
    "string", "join", "dyn",
}  # fmt: skip


@pytest.mark.parametrize(
    ("version", "api"),
    [("1.27", ""), ("1.28+", "v1beta1"), ("v1.29.4-gke.1", "v1beta1"), ("1.30", "v1"), ("v1.33.1", "v1")],
)
def test_what_a_version_has(version: str, api: str) -> None:
    assert offer(version).api_version == (f"admissionregistration.k8s.io/{api}" if api else "")


@pytest.mark.parametrize("version", ["", "2.0", "1", "1.30 or so", "latest"])
def test_what_is_no_version_is_told(version: str) -> None:
    with pytest.raises(InputError, match="expected a version"):
        offer(version)


@given(
    pattern=st.text("ab-*?[]!", min_size=1, max_size=8),
    name=st.from_regex(r"[ab]([ab-]{0,5}[ab])?", fullmatch=True),
)
def test_a_pattern_matches_what_the_settings_match(pattern: str, name: str) -> None:
    found = Expression(f"{name!r}.matches(r'^({regular(pattern)})$')", {}, "BOOL").value({})
    assert found == fnmatchcase(name, pattern)


@pytest.mark.parametrize("labels", [{"env": "staging"}, {"env": "it's", "a.b/c": 'x"\\y'}])
def test_it_is_valid_and_uses_what_kubernetes_1_28_knows(labels: dict[str, str]) -> None:
    policy, binding = admission(Settings(namespaces=("staging", "team-*"), labels=labels), home="h")
    assert validate_policy(policy).accepted, validate_policy(policy).causes
    assert validate_binding(binding).accepted
    texts = [
        one[key]
        for part in ("variables", "validations")
        for one in policy["spec"][part]
        for key in one
        if "xpression" in key
    ]
    code = " ".join(re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", text) for text in texts)
    assert set(re.findall(r"(\w+)\(", code)) <= IN_1_28
    assert ".?" not in code


@pytest.mark.parametrize("wrong", [[], ["Production"], [".", "a,b"], ["istio-*"]])
def test_a_default_of_export_to_that_can_not_be_is_told(wrong: list[str]) -> None:
    with pytest.raises(InputError, match=r"expected the mesh's default of exportTo"):
        admission(Settings(namespaces=("staging",)), home="chaos", default_export=wrong)
