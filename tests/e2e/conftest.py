"""Production is under load during every test on a lab that has the shop, and must never feel a fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.lab.state import LabState
from tests.e2e.production import NAMESPACE, Production
from tests.support.waiting import until


@pytest.fixture(scope="module")
def production(request: pytest.FixtureRequest) -> Iterator[Production | None]:
    """The load of a module's lab; ``None`` where it has no production shop."""
    lab: LabState = request.getfixturevalue("lab")
    if NAMESPACE not in lab.entries:
        yield None
        return
    made = Production(lab)
    try:
        yield made
        until(lambda: made.answers > 0, what="an answer from production: without any, no fault shows nothing")
    finally:
        made.stop()
    until(made.counted, what="a request that production counted")
    assert made.faulted_now() == []


@pytest.fixture(autouse=True)
def production_never_feels_a_fault(request: pytest.FixtureRequest) -> Iterator[None]:
    """Red, if a single fault was ever counted in production."""
    load = request.getfixturevalue("production") if "lab" in request.fixturenames else None
    yield
    if load is not None:
        assert load.faulted() == []
