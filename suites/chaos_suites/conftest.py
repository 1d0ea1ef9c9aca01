"""What the suites share: the team's services, the entry, and a place of its own for each test beside the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import Harness, HarnessError
from chaos_suites.alone import Alone
from chaos_suites.asking import Entry
from chaos_suites.configuring import Configure
from chaos_suites.services import SHOP, Services, read_services

_GUIDE = tuple(f"G{number}" for number in range(1, 21))
_THEMES = ("traffic", "resilience", "security", "observability", "control_plane")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The markers of the suites."""
    config.addinivalue_line(
        "markers", "guide(*rows): topics that a test is about (docs/reference/suites.md), each a marker, too"
    )
    for name in (*_GUIDE, *_THEMES, "nightly"):
        config.addinivalue_line("markers", f"{name}: see docs/reference/suites.md")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each topic of the operations guide is a marker of its own, and so is the theme, which is the folder; all are for the nightly job."""
    here = Path(__file__).parent
    for item in items:
        rows = [row for mark in item.iter_markers("guide") for row in mark.args]
        if item.path.is_relative_to(here) and rows:
            for name in (*rows, item.path.relative_to(here).parts[0], "nightly"):
                item.add_marker(name)


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> Services:
    """The team's services; on the lab, by default, those of its shop."""
    file = request.config.getoption("chaos_services")
    if not file and request.config.getoption("chaos_context"):
        pytest.fail(
            "the options name a cluster, and nothing names its services\n\nhint: --chaos-services services.toml "
            "(docs/reference/suites.md)",
            pytrace=False,
        )
    try:
        return read_services(Path(file) if file else SHOP)
    except HarnessError as error:
        pytest.fail(f"error: {error}", pytrace=False)


@pytest.fixture
def entry(harness: Harness, services: Services) -> Entry:
    """The mesh's entry."""
    url = harness.place.entry.get_secret_value()
    if not url:
        pytest.skip("it sends requests to the mesh's entry, and none is named: --chaos-entry URL")
    return Entry(url, services.host)


@pytest.fixture
def alone(harness: Harness) -> Iterator[Alone]:
    """Keeps other tests on this machine away from what a test uses, until its end."""
    with Alone(harness.place.environment.cluster) as kept:
        yield kept


@pytest.fixture
def configured(harness: Harness, services: Services, entry: Entry, alone: Alone) -> Iterator[Configure]:
    """Gives a test its table of ``services.toml``, with its configuration in the mesh; skips where there is no such table."""
    with Configure(harness, services, entry, alone) as configure:
        yield configure
