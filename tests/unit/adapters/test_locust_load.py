"""The adapter's module keeps Locust and gevent out of the harness's process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaos.adapters.locust_load import LocustLoad
from chaos.errors import LoadError
from chaos.model.experiment import Load


@pytest.mark.parametrize("module", ["chaos.adapters.locust_load", "chaos.adapters.locust_seconds"])
def test_importing_it_imports_neither_locust_nor_gevent(module: str) -> None:
    program = f"import sys, {module}; print([m for m in sys.modules if m.split('.')[0] in ('locust', 'gevent')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pytest_itself_is_not_patched() -> None:
    assert "gevent" not in sys.modules
    assert "locust" not in sys.modules


def test_it_cannot_start_unprepared() -> None:
    load = LocustLoad()
    with pytest.raises(LoadError, match="not prepared"):
        load.start()
    assert load.pid is None
    assert load.failure() is None
    assert list(load.poll()) == []
    load.stop()


def test_an_interpreter_that_is_gone_is_a_load_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    load = LocustLoad()
    with pytest.raises(LoadError, match="could not be started"):
        load.prepare(Load.model_validate({"requests": [{"path": "/"}]}), entry="http://x", headers={}, base=tmp_path)
    load.stop()
