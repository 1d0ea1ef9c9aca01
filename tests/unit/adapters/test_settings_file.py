from __future__ import annotations

from pathlib import Path

import pytest

from chaos.adapters.settings_file import read_settings
from chaos.errors import InputError


def test_without_a_file_nothing_is_allowed(tmp_path: Path) -> None:
    assert read_settings(tmp_path).namespaces == ()


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "chaos.toml").write_text('namespaces = ["far"]')
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.chaos]\nnamespaces = ["near"]\nlabels = {tier = "test"}')
    (inner / "pyproject.toml").write_text("[tool.other]\n")
    assert read_settings(inner).namespaces == ("near",)
    assert dict(read_settings(inner).labels) == {"tier": "test"}
    assert read_settings(tmp_path).namespaces == ("far",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("namespaces = [", "can't be read as TOML"),
        ('namespace = ["x"]', "known settings: namespaces"),
        ("namespaces = 'staging'", "namespaces"),
        ('namespaces = [""]', "namespaces"),
        ("labels = {}", "labels"),
    ],
)
def test_a_wrong_file_is_an_error_and_never_ignored(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "chaos.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path)
    assert says in str(caught.value)
    assert "chaos.toml" in str(caught.value)
