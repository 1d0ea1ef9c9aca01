"""What a PromQL comparison looks at: how far back, at which values, and whether it could ever be true, and false.

It is read with a PromQL parser. A comparison is true where its result is not empty, so one whose result can't be empty is
always true; and an empty result may only say that there are no data, which the comparison's own sides tell.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import product
from typing import Final, TypeGuard

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_ABSENT: Final = ("absent", "absent_over_time")
"""Functions that have a result where there are no data, so without a result there are some."""
_ALWAYS_THERE: Final = ("vector", "scalar", "time", "pi")
"""Functions whose result is never empty."""
_NEVER_NEGATIVE: Final = ("rate", "irate", "increase", "absent", "absent_over_time", "changes", "resets", "abs", "sqrt", "time",
                          "count_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time")  # fmt: skip
_KEEP_THE_SIGN: Final = (
    "sum",
    "avg",
    "min",
    "max",
    "topk",
    "bottomk",
    "quantile",
    "group",
    "count",
    "stddev",
    "stdvar",
)
_RECORDED: Final = re.compile(r":[a-z_]*?(\d+)([smhd])$")
"""The window in the name of a recording rule, such as ``job:requests:rate5m``."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Sides = tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A comparison as it was read.

    Args:
        looks_back: How far before its own moment it looks at most: its windows and offsets.
        shown: Whose values are told: the side of the outermost comparison that is no constant.
        needed: What must have data for the comparison to be true or false; one of several alternatives.
    """

    looks_back: timedelta
    shown: str
    needed: tuple[Sides, ...]


@lru_cache(maxsize=256)
def read_comparison(promql: str) -> Reading:
    """What a comparison looks at; of what is none, nothing is known."""
    try:
        found: Expr = parse(promql)
        looks_back = _looks_back(found)
    except ValueError:
        return Reading(looks_back=timedelta(0), shown=promql, needed=((),))
    outermost = next(_comparisons(found), None)
    if outermost is None:
        return Reading(looks_back=looks_back, shown=promql, needed=((),))
    shown = outermost.rhs if _constant(outermost.lhs) is not None else outermost.lhs
    return Reading(looks_back=looks_back, shown=shown.prettify(), needed=tuple(_needed(found)))


def check_comparison(promql: str) -> None:
    """Checks that it may be true and false.

    Raises:
        ValueError: it is no PromQL, no comparison, always or never true, or looks at another time than its own.
    """
    try:
        found: Expr = parse(promql)
    except ValueError as error:
        raise ValueError(f"expected PromQL: {error}") from error
    _looks_back(found)
    if isinstance(found, BinaryExpr) and _returns_bool(found):
        raise ValueError(
            "with `bool` the result is 0 or 1 and never empty, so this would always be true: leave out `bool`"
        )
    if _is_never_empty(found):
        raise ValueError(
            "this is always true, since its result is never empty; to count missing data as zero, put the `or` into "
            "parentheses before the comparison: `(… or vector(0)) < 5`"
        )
    if not _filters(found):
        raise ValueError("expected a comparison, such as `sum(up) > 3`")
    if _is_comparison(found) and _is_sure_of_the_sign(found):
        raise ValueError("this is always true where there are data, since its left side is never negative")
    if not any(isinstance(node, VectorSelector) for node in _every(found)):
        raise ValueError("this compares constants only, so it never changes: expected a metric")


def _is_comparison(node: Expr) -> TypeGuard[BinaryExpr]:
    """Whether it leaves out what does not compare as it says; with ``bool`` it leaves out nothing."""
    return isinstance(node, BinaryExpr) and str(node.op) in _COMPARED and not _returns_bool(node)


def _returns_bool(node: BinaryExpr) -> bool:
    return node.modifier is not None and node.modifier.return_bool


def _inside(node: Expr) -> Sequence[Expr]:
    """The parts of an expression."""
    if isinstance(node, BinaryExpr):
        return (node.lhs, node.rhs)
    if isinstance(node, Call):
        return tuple(node.args)
    if isinstance(node, ParenExpr | UnaryExpr | AggregateExpr | SubqueryExpr):
        return (node.expr,)
    return (node.vector_selector,) if isinstance(node, MatrixSelector) else ()


def _every(node: Expr) -> Iterator[Expr]:
    """It and all of its parts, from the outside."""
    yield node
    for part in _inside(node):
        yield from _every(part)


def _comparisons(node: Expr) -> Iterator[BinaryExpr]:
    return filter(_is_comparison, _every(node))


def _filters(node: Expr) -> bool:
    """Whether its result may be empty for the values' sake, and not only where there are no data."""
    if isinstance(node, BinaryExpr) and str(node.op) == "or":
        return _filters(node.lhs) and _filters(node.rhs)
    return _is_comparison(node) or any(map(_filters, _inside(node)))


def _is_never_empty(node: Expr) -> bool:
    if isinstance(node, NumberLiteral | StringLiteral):
        return True
    if isinstance(node, Call):
        return node.func.name in _ALWAYS_THERE or (bool(node.args) and all(map(_is_never_empty, node.args)))
    if not isinstance(node, BinaryExpr):
        inside = _inside(node)
        return bool(inside) and all(map(_is_never_empty, inside))
    if str(node.op) == "or":
        return _is_never_empty(node.lhs) or _is_never_empty(node.rhs)
    if str(node.op) == "unless":
        return False
    if _is_comparison(node):
        left, right = _constant(node.lhs), _constant(node.rhs)
        return left is not None and right is not None and _COMPARED[str(node.op)](left, right)
    return _is_never_empty(node.lhs) and _is_never_empty(node.rhs)


def _is_sure_of_the_sign(node: BinaryExpr) -> bool:
    """Whether what is never negative is compared with a number at zero or below."""
    right, op = _constant(node.rhs), str(node.op)
    wide = right is not None and ((op == ">=" and right <= 0) or (op in (">", "!=") and right < 0))
    return wide and _is_never_negative(node.lhs)


def _constant(node: Expr) -> float | None:
    if isinstance(node, NumberLiteral):
        return node.val
    if isinstance(node, ParenExpr):
        return _constant(node.expr)
    if isinstance(node, UnaryExpr):
        inner = _constant(node.expr)
        return None if inner is None else -inner
    return _constant(node.args[0]) if isinstance(node, Call) and node.func.name == "vector" else None


def _is_never_negative(node: Expr) -> bool:
    if isinstance(node, Call):
        return node.func.name in _NEVER_NEGATIVE
    if isinstance(node, AggregateExpr):
        return str(node.op) in _KEEP_THE_SIGN and (str(node.op) in ("count", "group") or _is_never_negative(node.expr))
    if isinstance(node, BinaryExpr):
        return str(node.op) in ("+", "*") and _is_never_negative(node.lhs) and _is_never_negative(node.rhs)
    constant = _constant(node)
    return _is_never_negative(node.expr) if isinstance(node, ParenExpr) else constant is not None and constant >= 0


def _needed(node: Expr) -> Iterator[Sides]:
    """The alternatives of what must have data, each as PromQL; sides that are never empty are left out."""
    if not _filters(node):
        there = _is_never_empty(node) or any(isinstance(one, Call) and one.func.name in _ABSENT for one in _every(node))
        yield () if there else (node.prettify(),)
    elif isinstance(node, BinaryExpr) and str(node.op) == "or":
        yield from _needed(node.lhs)
        yield from _needed(node.rhs)
    elif isinstance(node, BinaryExpr) and str(node.op) == "unless":
        yield from _needed(node.lhs)
    elif isinstance(node, BinaryExpr):
        for left, right in product(_needed(node.lhs), _needed(node.rhs)):
            yield tuple(dict.fromkeys((*left, *right)))
    else:
        for parts in product(*(_needed(part) for part in _inside(node))):
            yield tuple(dict.fromkeys(side for part in parts for side in part))


def _looks_back(node: Expr) -> timedelta:
    """The farthest of its parts.

    Raises:
        ValueError: a part looks at a fixed time, or at the future.
    """
    own = timedelta(0)
    if isinstance(node, VectorSelector | SubqueryExpr):
        if node.at is not None:
            raise ValueError("`@` looks at a fixed time and not at the run: leave it out")
        own = node.offset or timedelta(0)
        if own < timedelta(0):
            raise ValueError("a negative offset looks at the future, where there are no data yet: leave it out")
    if isinstance(node, MatrixSelector):
        own = node.range
    elif isinstance(node, SubqueryExpr):
        own += node.range or timedelta(0)
    elif isinstance(node, VectorSelector) and (recorded := _RECORDED.search(node.name or "")):
        own += timedelta(**{_UNITS[recorded[2]]: int(recorded[1])})
    return own + max(map(_looks_back, _inside(node)), default=timedelta(0))
