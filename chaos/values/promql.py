"""What a PromQL comparison looks at: how far back, at which values, and whether it could ever be true, and false.

It is read with a PromQL parser. A comparison is true where its result is not empty, so one whose result can't be empty is
always true; and an empty result may only say that there are no data, which the comparison's own sides tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import product
from typing import Final

from promql_parser import (
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    StringLiteral,
    SubqueryExpr,
    VectorSelector,
    parse,
)

from chaos.values.promql_nodes import COMPARED, comparisons, constant, every, inside, is_comparison, returns_bool
from chaos.values.promql_ranges import always_true, never_true

_ABSENT: Final = ("absent", "absent_over_time")
"""Functions that have a result where there are no data, so without a result there are some."""
_ALWAYS_THERE: Final = ("vector", "scalar", "time", "pi")
"""Functions whose result is never empty."""
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
    outermost = next(comparisons(found), None)
    if outermost is None:
        return Reading(looks_back=looks_back, shown=promql, needed=((),))
    shown = outermost.rhs if constant(outermost.lhs) is not None else outermost.lhs
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
    if isinstance(found, BinaryExpr) and returns_bool(found):
        raise ValueError(
            "with `bool` the result is 0 or 1 and never empty, so this would always be true: leave out `bool`"
        )
    if _is_never_empty(found):
        raise ValueError(
            "this is always true, since its result is never empty; to count missing data as zero, put the `or` into "
            "parentheses before the comparison: `(… or vector(0)) < 5`"
        )
    compared = list(comparisons(found))
    if not compared:
        raise ValueError("expected a comparison, such as `sum(up) > 3`")
    if not any(isinstance(node, VectorSelector) for node in every(found)):
        raise ValueError("this compares constants only, so it never changes: expected a metric")
    if not _filters(found):
        sure = next(one.prettify() for one in compared if always_true(one))
        raise ValueError(
            f"this is always true where there are data, since `{sure}` holds for every value that there can be: compare with a value "
            "that the metric has only if something is wrong"
        )
    if never_true(found):
        raise ValueError(
            "this is never true, whatever the values are: see whether the comparison is the wrong way round"
        )


def _filters(node: Expr) -> bool:
    """Whether its result may be empty although there are data: a comparison in it may be false, or it is there where they are not."""
    if isinstance(node, BinaryExpr) and str(node.op) == "or":
        return _filters(node.lhs) and _filters(node.rhs)
    if is_comparison(node) and not always_true(node):
        return True
    return _is_absent(node) or any(map(_filters, inside(node)))


def _is_absent(node: Expr) -> bool:
    return isinstance(node, Call) and node.func.name in _ABSENT


def _is_never_empty(node: Expr) -> bool:
    if isinstance(node, NumberLiteral | StringLiteral):
        return True
    if isinstance(node, Call):
        return node.func.name in _ALWAYS_THERE or (bool(node.args) and all(map(_is_never_empty, node.args)))
    if not isinstance(node, BinaryExpr):
        parts = inside(node)
        return bool(parts) and all(map(_is_never_empty, parts))
    if str(node.op) == "or":
        return _is_never_empty(node.lhs) or _is_never_empty(node.rhs)
    if str(node.op) == "unless":
        return False
    if is_comparison(node):
        left, right = constant(node.lhs), constant(node.rhs)
        return left is not None and right is not None and COMPARED[str(node.op)](left, right)
    return _is_never_empty(node.lhs) and _is_never_empty(node.rhs)


def _needed(node: Expr) -> Iterator[Sides]:
    """The alternatives of what must have data, each as PromQL; sides that are never empty are left out."""
    if _is_absent(node) and not any(map(_filters, inside(node))):
        yield ()
    elif not _filters(node):
        yield () if _is_never_empty(node) else (node.prettify(),)
    elif isinstance(node, BinaryExpr) and str(node.op) == "or":
        yield from _needed(node.lhs)
        yield from _needed(node.rhs)
    elif isinstance(node, BinaryExpr) and str(node.op) == "unless":
        yield from _needed(node.lhs)
    elif isinstance(node, BinaryExpr):
        for left, right in product(_needed(node.lhs), _needed(node.rhs)):
            yield tuple(dict.fromkeys((*left, *right)))
    else:
        for parts in product(*(_needed(part) for part in inside(node))):
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
    return own + max(map(_looks_back, inside(node)), default=timedelta(0))


def true_without_data(promql: str) -> tuple[str, ...]:
    """The series that a comparison looks at, if it is true where none of them has data; none otherwise."""
    try:
        found: Expr = parse(promql)
    except ValueError:
        return ()
    if _without_data(found) is None:
        return ()
    return tuple(dict.fromkeys(_bare(node) for node in every(found) if isinstance(node, VectorSelector)))


def _bare(node: VectorSelector) -> str:
    """A selector at the moment itself."""
    return f"{node.name or ''}{{{','.join(map(str, node.matchers.matchers))}}}"


def _without_data(node: Expr) -> float | None:
    """Its value where no series has data; ``None`` where it then has no result, or the time decides."""
    if (number := constant(node)) is not None:
        return number
    if _is_absent(node):
        return 1.0
    if not isinstance(node, BinaryExpr):
        parts = inside(node)
        return _without_data(parts[0]) if len(parts) == 1 else None
    left, right, op = _without_data(node.lhs), _without_data(node.rhs), str(node.op)
    if op == "or":
        return right if left is None else left
    if op == "unless":
        return left if right is None else None
    if left is None or right is None:
        return None
    return left if op not in COMPARED or returns_bool(node) or COMPARED[op](left, right) else None
