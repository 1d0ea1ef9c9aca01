"""Tests take turns by locks of files, which are gone when nobody holds them."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import pytest

from chaos_suites.alone import Alone


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def taken_while(names: list[str], *, mesh: bool = False) -> bool:
    """Whether a test that needs these names begins although another one holds ``a`` and ``b``; it does when that has ended."""
    began = threading.Event()

    def other() -> None:
        with Alone("cluster") as alone:
            alone.take(names, mesh=mesh)
            began.set()

    thread = threading.Thread(target=other)
    with Alone("cluster") as alone:
        alone.take(["b", "a"])
        thread.start()
        at_once = began.wait(0.3)
    thread.join(10)
    assert began.is_set()
    return at_once


def test_those_that_share_a_service_take_turns_and_others_do_not() -> None:
    assert taken_while(["c"])
    assert not taken_while(["c", "a"])


def test_who_waits_for_one_service_keeps_nobody_from_another() -> None:
    waits = threading.Event()

    def other() -> None:
        with Alone("cluster") as alone:
            waits.set()
            alone.take(["a", "b"])

    thread = threading.Thread(target=other)
    with Alone("cluster") as alone:
        alone.take(["b"])
        thread.start()
        assert waits.wait(10)
        for _ in range(20):  # whoever waits for "b" has tried "a" by then, if at all
            with Alone("cluster") as third:
                third.take(["a"])
            time.sleep(0.01)
    thread.join(10)
    assert not thread.is_alive()


def test_who_needs_the_whole_mesh_waits_for_all() -> None:
    assert not taken_while([], mesh=True)


def test_one_at_a_time_and_nothing_is_left(folder: Path) -> None:
    inside, most = 0, 0

    def some() -> None:
        nonlocal inside, most
        for _ in range(20):
            with Alone("cluster") as alone:
                alone.take(["a", "b"])
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=some) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert most == 1
    assert list(folder.iterdir()) == []
