"""The parts of a parsed PromQL expression."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
)

COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
"""What compares."""


def is_comparison(node: Expr) -> TypeGuard[BinaryExpr]:
    """Whether it leaves out what does not compare as it says; with ``bool`` it leaves out nothing."""
    return isinstance(node, BinaryExpr) and str(node.op) in COMPARED and not returns_bool(node)


def returns_bool(node: BinaryExpr) -> bool:
    """Whether it has a result, 0 or 1, for everything that it compares."""
    return node.modifier is not None and node.modifier.return_bool


def inside(node: Expr) -> Sequence[Expr]:
    """The parts of an expression."""
    if isinstance(node, BinaryExpr):
        return (node.lhs, node.rhs)
    if isinstance(node, Call):
        return tuple(node.args)
    if isinstance(node, ParenExpr | UnaryExpr | AggregateExpr | SubqueryExpr):
        return (node.expr,)
    return (node.vector_selector,) if isinstance(node, MatrixSelector) else ()


def every(node: Expr) -> Iterator[Expr]:
    """It and all of its parts, from the outside."""
    yield node
    for part in inside(node):
        yield from every(part)


def comparisons(node: Expr) -> Iterator[BinaryExpr]:
    """The comparisons in it, from the outside."""
    return filter(is_comparison, every(node))


def constant(node: Expr) -> float | None:
    """The number that it is, whatever the metrics are."""
    if isinstance(node, NumberLiteral):
        return node.val
    if isinstance(node, ParenExpr):
        return constant(node.expr)
    if isinstance(node, UnaryExpr):
        inner = constant(node.expr)
        return None if inner is None else -inner
    return constant(node.args[0]) if isinstance(node, Call) and node.func.name == "vector" else None
