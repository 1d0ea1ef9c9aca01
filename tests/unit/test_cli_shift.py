"""``chaosctl shift``: what is wrong with its options is told before a cluster is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.cli import app
from chaos.errors import InputError
from tests.support.situations import EXPERIMENT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--step", "0"], "expected a step of more than 0 and at most 100 percent, got 0"),
        (["--every", "soon"], "--every 'soon': expected a duration with its unit"),
        (["--to", "a"], "expected two different versions, got 'a' for both"),
        (["--every", "1s"], "expected steps of at least 5 s, got 1 s"),
    ],
)
def test_wrong_options_are_told_first(options: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    named = ["--virtual-service", "v", "--from", "a", "--to", "b", "--context", "nowhere"]
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(app, ["shift", str(tmp_path / "x.yaml"), *named, *options], catch_exceptions=False)
    assert said in str(caught.value)
