"""The back end of docs/how-to/another-metrics-back-end.md, asked as a run asks."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any, cast

import pytest

from chaos.engine.observer import Observer
from chaos.engine.recorder import Recorder
from chaos.errors import MetricsError
from chaos.expectations.evidence import Window
from chaos.model.history import Environment
from chaos.ports import Load, Metrics
from chaos.testing.clock import VirtualClock
from chaos.values.questions import Comparison, Requests
from tests.support.histories import ORDERS, plan

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "another-metrics-back-end.md"


def table_metrics(path: Path) -> Metrics:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "table_metrics"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page is ours
    return cast("Metrics", names["TableMetrics"](str(path)))


def test_the_page_s_back_end_is_asked_and_counted(tmp_path: Path) -> None:
    now = time.time()
    with sqlite3.connect(tmp_path / "metrics.db") as database:
        database.execute("CREATE TABLE samples (metric, host, labels, at, value)")
        labels = json.dumps({"instance": "gateway", "response_code": "200"})
        rows = [("requests by callers", ORDERS, labels, now - 20 + 5 * n, 100.0 * n) for n in range(5)]
        database.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", rows)
    metrics = table_metrics(tmp_path / "metrics.db")
    recorder = Recorder(plan(), Environment(context="c", scrape_interval=5.0), clock_offset=0.0, started=now)
    observer = Observer(recorder, metrics, cast("Load", None), VirtualClock(now))
    observer.look(now)
    for later in range(1, 40):
        observer.look(now + later)
    assert not recorder.troubles, "it can't tell the edges, and nothing waits for them"
    ((_, found),) = recorder.facts.evidence.counted(Requests(host=ORDERS), Window(now - 15, now))
    assert found.events == 300
    (stored,) = [one for one in recorder.history().recorded if one.question == Requests(host=ORDERS)]
    assert stored.query == f"metric = 'requests by callers' AND host = '{ORDERS}'"
    with pytest.raises(MetricsError, match="can't tell: comparison up > 3"):
        metrics.samples(Comparison(promql="up > 3"), seconds=5)
