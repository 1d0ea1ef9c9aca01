"""What ``services.toml`` may say, and how mistakes in it are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.errors import InputError
from chaos_suites.services import SHOP, Services, read_services
from chaos_suites.tables import Canary, Part, Versions

HOP = 'caller = "web"\nservice = "shop"\npath = "/shop"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "services.toml"
    file.write_text(f'namespace = "staging"\n{text}')
    return file


def test_the_shops_file_has_every_table() -> None:
    found = read_services(SHOP)
    assert all(getattr(found, name) is not None for name in Services.model_fields if name != "host")


def test_files_of_configuration_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "canary.yaml").write_text("")
    file = written(tmp_path, f'[canary]\n{HOP}weights = {{v1 = 90, v2 = 10}}\nconfiguration = ["canary.yaml"]\n')
    canary = read_services(file).canary
    assert isinstance(canary, Canary)
    assert canary.configuration == (tmp_path / "canary.yaml",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[canari]\n", "canari: is not known here"),
        (f"[canary]\n{HOP}", "canary.weights: is missing"),
        (f"[canary]\n{HOP}weights = {{v1 = 90}}\n", "canary: weights: expected numbers from 0 on that are 100 in all"),
        (f"[timeout]\n{HOP}bound = '1s'\n", "timeout.dependency: is missing"),
        (f"[timeout]\n{HOP}dependency = 'x'\nbound = 'soon'\n", "timeout.bound: 'soon'"),
        (f"[control_plane]\n{HOP}configuration = ['none.yaml']\n", "none.yaml: expected a file"),
        (
            "[identities]\naccounts = {a = 'a'}\npods = ['b']\ncalls = [['a', 'b']]\npaths = ['/']\n",
            "expected the service accounts of b, too",
        ),
        (
            f"[routing]\n{HOP}routes = [{{version = 'v1'}}, {{version = 'v1', headers = {{a = 'b'}}}}]\n",
            "routing.routes: expected at least two versions",
        ),
        ("[degraded]\nwithin = '7s'\n", "degraded.within: '7s': expected a bound of the histogram"),
        ("[degraded\n", "can't be read as TOML"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_services(written(tmp_path, text))
    assert told in str(caught.value)
    assert "docs/reference/suites.md" in str(caught.value)


def test_whoever_asks_for_a_path_of_another_test_waits_for_it() -> None:
    """Services behind a path are called by each test that asks for it, whatever services that test names."""
    shop = read_services(SHOP)
    parts = [one for one in (getattr(shop, name) for name in Services.model_fields) if isinstance(one, Part)]
    asking = {one.asks for one in parts if not isinstance(one, Versions)}
    assert ("/guide/canary",) in asking
    assert ("/orders/42",) in asking
    assert ("/recommendations/42", "/recommendations/42", "/recommendations/closed") in asking
    assert () not in asking
