"""The evidence of a run as CSV: what the load generator saw, and every raw sample of the mesh."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

from chaos.model.history import History
from chaos.values.quantities import format_number
from chaos.values.questions import Comparison
from chaos.values.series import Recorded


def load_csv(history: History) -> str:
    """A line for each second."""
    out = io.StringIO()
    out.write("second,intended,sent,answered,bad,worst_lag_s,cpu,p50_ms,p99_ms\n")
    for second in history.load:
        took = ["" if value is None else value for value in (second.quantile(0.5), second.quantile(0.99))]
        row = (
            f"{second.at:.0f}",
            second.intended,
            second.sent,
            second.answered,
            second.errors,
            second.worst_lag,
            "" if second.cpu is None else second.cpu,
            *took,
        )
        out.write(",".join(map(str, row)) + "\n")
    return out.getvalue()


def query_csv(recorded: Recorded) -> str:
    """The query, then every series with its raw samples."""
    out = io.StringIO()
    out.write(f"# {recorded.query}\nseries,time,value\n")
    for number, series in enumerate(recorded.series):
        out.write(f"# {number}: {json.dumps(_short(series.labels), sort_keys=True)}\n")
        out.writelines(f"{number},{at:.3f},{format_number(value)}\n" for at, value in series.samples)
    if isinstance(recorded.question, Comparison):
        out.write(
            "# without labels: 1: true at this look, 0: false, -1: no data; compared: the smallest and the largest value\n"
        )
    return out.getvalue()


def _short(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if value not in ("", "unknown")}
