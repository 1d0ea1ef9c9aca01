"""Who hears of the experiments of one test; imported when the first of them runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from chaos.engine.listeners import Listeners
from chaos.ports import Listener, Result
from chaos.pytest_plugin.session import NOTE, VERDICT, Uncaptured
from chaos.reporting.allure import AllureSteps, write_broken
from chaos.reporting.listeners import listeners, made
from chaos.reporting.table import row_of
from chaos.reporting.terminal import Terminal


class Noted(Listener):
    """Notes verdicts at a test, for the table of all."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def finished(self, result: Result) -> None:
        """Notes it."""
        row = {**row_of(result.verdict)._asdict(), "folder": str(result.folder or "")}
        self._item.user_properties.append((VERDICT, json.dumps(row)))


def listeners_of(item: pytest.Item, stream: Uncaptured | None) -> Listeners:
    """For a run in a test: the test's notes, the terminal, the harness's reports, those of packages and of plugins.

    ``stream`` is ``None`` in a worker, whose terminal nobody sees.
    """
    terminal = None if stream is None else Terminal(stream, width=stream.width, colour=stream.colour)

    def say(text: str) -> None:
        item.user_properties.append((NOTE, text))
        if terminal is not None:
            terminal.say(text)

    own = [Noted(item), *([] if terminal is None else [terminal])]
    return Listeners([*own, *listeners(say), *_of_plugins(item, say)], say=say)


def _of_plugins(item: pytest.Item, say: Callable[[str], None]) -> Iterator[Listener]:
    """What plugins answer to the hook; each is asked apart, so that one that raises costs only its own listeners."""
    for one in reversed(item.ihook.pytest_chaos_listeners.get_hookimpls()):
        if not (one.wrapper or one.hookwrapper):
            given = {"item": item} if one.argnames else {}
            yield from made(partial(one.function, **given), f"the plugin {one.plugin_name}", say)


def allure_steps(item: pytest.Item) -> list[Listener]:
    """Allure's, where allure-pytest writes the result of the test."""
    config = item.config
    plugin = config.pluginmanager.get_plugin("allure_listener")
    if plugin is None:
        return []
    categories = config.rootpath / "reports" / "allure" / "categories.json"
    marked = {mark.name for mark in item.iter_markers()}
    results = Path(config.getoption("allure_report_dir"))
    return [AllureSteps(results, plugin.allure_logger, categories=categories, marked=marked)]


def tell_allure_of_crash(config: pytest.Config, node: str, why: str) -> None:
    """The result of a test with an experiment whose worker died, which that worker could not write."""
    results = config.getoption("allure_report_dir", None)
    if results:
        write_broken(Path(results), node=node, why=why)
