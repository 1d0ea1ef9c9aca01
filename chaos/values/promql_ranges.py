"""Which values a PromQL expression can have at all, whatever the system does, and what follows for comparisons of them.

By what Prometheus' functions give (``promql/functions.go``), and by its naming rules: what ends in ``_total``, ``_count`` or
``_bucket`` is a counter. The values of any other series are not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil, floor, inf, isnan
from typing import Final

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

from chaos.values.promql_nodes import COMPARED, constant, inside, is_comparison, returns_bool


@dataclass(frozen=True)
class Range:
    """From the least possible value to the greatest one."""

    low: float = -inf
    high: float = inf

    def joined(self, other: Range) -> Range:
        """What either has."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def mapped(self, change: Callable[[float], float]) -> Range:
        """What becomes of it by something that keeps the order of numbers."""
        return Range(*(end if abs(end) == inf else change(end) for end in (self.low, self.high)))

    def summed(self) -> Range:
        """Sums of one value or more."""
        return Range(self.low if self.low >= 0 else -inf, self.high if self.high <= 0 else inf)


ANY: Final = Range()
_NOT_NEGATIVE, _ONE, _SHARE = Range(0), Range(1, 1), Range(0, 1)
_COUNTER: Final = re.compile(r"_(total|count|bucket)$")
_NAMED: Final[Mapping[str, Range]] = {"up": _SHARE, "ALERTS": _ONE, "ALERTS_FOR_STATE": _NOT_NEGATIVE}
"""Series that Prometheus makes itself."""
_GIVES: Final[Mapping[str, Range]] = {
    **dict.fromkeys(
        ("rate", "irate", "increase", "changes", "resets", "sqrt", "exp", "time", "timestamp", "stddev_over_time", "stdvar_over_time",
         "mad_over_time", "histogram_count", "histogram_quantile", "stddev", "stdvar"), _NOT_NEGATIVE,
    ),
    **dict.fromkeys(("absent", "absent_over_time", "present_over_time", "group"), _ONE),
    **dict.fromkeys(("count", "count_over_time", "count_values"), Range(1)),
    "histogram_fraction": _SHARE, "sgn": Range(-1, 1), "hour": Range(0, 23), "minute": Range(0, 59), "month": Range(1, 12),
    "day_of_week": Range(0, 6), "day_of_month": Range(1, 31), "day_of_year": Range(1, 366), "days_in_month": Range(28, 31),
}  # fmt: skip
"""What functions and aggregations give, whatever they are given."""
_KEEP: Final = frozenset({
    "min", "max", "avg", "quantile", "topk", "bottomk", "limitk", "limit_ratio", "min_over_time", "max_over_time", "avg_over_time", "last_over_time",
    "scalar", "vector", "sort", "sort_desc", "sort_by_label", "sort_by_label_desc", "label_replace", "label_join",
})  # fmt: skip
"""Those that give no value beyond the ones they are given."""


def range_of(node: Expr) -> Range:
    """The values that its results can have; those of one without a result do not matter."""
    if (number := constant(node)) is not None:
        return Range(number, number)
    if isinstance(node, VectorSelector):
        name = node.name or ""
        return _NAMED.get(name, _NOT_NEGATIVE if _COUNTER.search(name) else ANY)
    if isinstance(node, Call):
        return _called(node.func.name, node)
    if isinstance(node, AggregateExpr):
        return _called(str(node.op), node)
    if isinstance(node, UnaryExpr):
        found = range_of(node.expr)
        return Range(-found.high, -found.low)
    if isinstance(node, BinaryExpr):
        return _combined(node)
    parts = inside(node) if isinstance(node, ParenExpr | MatrixSelector | SubqueryExpr) else ()
    return range_of(parts[0]) if parts else ANY


def always_true(node: BinaryExpr) -> bool:
    """Whether nothing that it compares can be other than it says."""
    left, right, op = range_of(node.lhs), range_of(node.rhs), str(node.op)
    if op in ("==", ">=", "<=") and node.lhs.prettify() == node.rhs.prettify():
        return True
    return {
        "==": left.low == left.high == right.low == right.high,
        "!=": left.high < right.low or left.low > right.high,
        ">": left.low > right.high,
        ">=": left.low >= right.high,
        "<": left.high < right.low,
        "<=": left.high <= right.low,
    }[op]


def never_true(node: Expr) -> bool:
    """Whether it can have no result, whatever the values are."""
    if isinstance(node, BinaryExpr) and str(node.op) == "or":
        return never_true(node.lhs) and never_true(node.rhs)
    if isinstance(node, BinaryExpr) and str(node.op) == "unless":
        return never_true(node.lhs)
    if is_comparison(node) and _impossible(node):
        return True
    if isinstance(node, BinaryExpr):
        return never_true(node.lhs) or never_true(node.rhs)
    return isinstance(node, ParenExpr | AggregateExpr) and never_true(node.expr)


def _impossible(node: BinaryExpr) -> bool:
    left, right, op = range_of(node.lhs), range_of(node.rhs), str(node.op)
    if op in ("!=", ">", "<") and node.lhs.prettify() == node.rhs.prettify():
        return True
    return {
        "==": left.high < right.low or left.low > right.high,
        "!=": left.low == left.high == right.low == right.high,
        ">": left.high <= right.low,
        ">=": left.high < right.low,
        "<": left.low >= right.high,
        "<=": left.low > right.high,
    }[op]


def _called(name: str, node: Call | AggregateExpr) -> Range:
    """By the name of a function or an aggregation."""
    parts = inside(node)
    given = range_of(parts[0]) if parts else ANY
    if name == "quantile_over_time":
        return range_of(parts[-1])
    if name in _KEEP:
        return given
    if name in ("sum", "sum_over_time"):
        return given.summed()
    if name == "abs":
        return Range(max(0.0, given.low, -given.high), max(abs(given.low), abs(given.high)))
    if name in ("ceil", "floor", "round"):
        return Range(given.mapped(floor).low, given.mapped(ceil).high)
    if name.startswith("clamp"):
        return _clamped(name, given, [constant(one) for one in parts[1:]])
    if name == "sgn" and given.low >= 0:
        return _SHARE
    return _GIVES.get(name, ANY)


def _clamped(name: str, given: Range, limits: list[float | None]) -> Range:
    """What ``clamp``, ``clamp_min`` or ``clamp_max`` give with these limits."""
    least = limits[0] if name != "clamp_max" else None
    most = limits[-1] if name != "clamp_min" else None
    if least is not None:
        given = Range(max(given.low, least), max(given.high, least))
    return given if most is None else Range(min(given.low, most), min(given.high, most))


def _combined(node: BinaryExpr) -> Range:
    """Of what has two sides."""
    op, left, right = str(node.op), range_of(node.lhs), range_of(node.rhs)
    if op in COMPARED:
        if returns_bool(node):
            return _SHARE
        least = right.low if op in (">", ">=", "==") else -inf
        most = right.high if op in ("<", "<=", "==") else inf
        return Range(max(left.low, least), min(left.high, most))
    if op == "or":
        return left.joined(right)
    if op in ("and", "unless"):
        return left
    if op == "/":
        return _divided(node, left, right)
    if op in _ARITHMETIC:
        ends = [_ARITHMETIC[op](one, other) for one, other in product((left.low, left.high), (right.low, right.high))]
        return ANY if any(map(isnan, ends)) else Range(min(ends), max(ends))
    return _NOT_NEGATIVE if op == "^" and left.low >= 0 else ANY


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other if one and other else 0.0,
}


def _divided(node: BinaryExpr, left: Range, right: Range) -> Range:
    """A ratio; of a part to the whole, it is a share."""
    if left.low < 0 or right.low < 0:
        return ANY
    if _is_part(node.lhs, node.rhs):
        return _SHARE
    low = left.low / right.high if 0 < right.high < inf else 0.0
    return Range(low, left.high / right.low if right.low > 0 else inf)


def _is_part(one: Expr, of: Expr) -> bool:
    """Whether it counts the same as another one, or only those of its series that match more."""
    if isinstance(one, ParenExpr):
        return _is_part(one.expr, of)
    if isinstance(of, ParenExpr):
        return _is_part(one, of.expr)
    if isinstance(one, AggregateExpr) and isinstance(of, AggregateExpr):
        alike = (str(one.op), str(one.modifier)) == (str(of.op), str(of.modifier))
        return alike and str(one.op) in ("sum", "count") and _is_part(one.expr, of.expr)
    if isinstance(one, Call) and isinstance(of, Call):
        counts = one.func.name == of.func.name and one.func.name in ("rate", "irate", "increase")
        return counts and _is_part(one.args[0], of.args[0])
    if isinstance(one, MatrixSelector) and isinstance(of, MatrixSelector):
        return one.range == of.range and _is_part(one.vector_selector, of.vector_selector)
    if not (isinstance(one, VectorSelector) and isinstance(of, VectorSelector)):
        return False
    mine, theirs = ({(m.name, str(m.op), m.value) for m in node.matchers.matchers} for node in (one, of))
    return (one.name, one.offset) == (of.name, of.offset) and theirs <= mine
