"""What an expression names, and what of it can be asked by itself."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

#: What Prometheus and the operator put on every series of a pod.
TARGET = frozenset({"namespace", "job", "pod", "instance", "container"})
_FILTERS = {"==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"}

Labels = Mapping[str, frozenset[str] | None]
"""The labels of a metric with their values; None: any."""


def problems(expr: str, known: Mapping[str, Labels]) -> Iterator[str]:
    """Metrics, labels and labels' values that are not known."""
    tree = parse(expr)
    for selector in _of(tree, VectorSelector):
        labels = known.get(selector.name)
        if labels is None:
            yield f"no metric {selector.name}"
        else:
            yield from _unknown(selector, labels)
    for node in _of(tree, Expr):
        wanted = set(_grouping(node)) - TARGET
        below = {label for selector in _of(node, VectorSelector) for label in known.get(selector.name, {})}
        yield from (f"no label {label} below {node.prettify()}" for label in sorted(wanted - below))


def labels(expr: str, known: Mapping[str, Labels]) -> set[str]:
    """The labels that its result may have."""
    return _labels(parse(expr), known)


def parts(expr: str) -> list[str]:
    """What it compares and combines: each part has a value whether or not the comparison holds."""
    return [part.prettify() for part in _parts(parse(expr))]


def _unknown(selector: VectorSelector, known: Labels) -> Iterator[str]:
    for matcher in selector.matchers.matchers:
        if matcher.name in TARGET:
            continue
        if matcher.name not in known:
            yield f"no label {matcher.name} of {selector.name}"
            continue
        values = known[matcher.name]
        asked = matcher.value.split("|") if matcher.op in (MatchOp.Re, MatchOp.NotRe) else [matcher.value]
        if values is not None and asked != [".*"]:
            missing = sorted(set(asked) - values)
            yield from (f"{matcher.name} of {selector.name} is never {value}" for value in missing)


def _labels(node: Expr, known: Mapping[str, Labels]) -> set[str]:
    if isinstance(node, VectorSelector):
        return set(known[node.name or ""]) | TARGET
    if isinstance(node, AggregateExpr):
        assert node.modifier is None or node.modifier.type == AggModifierType.By, "`without` names what it can't know"
        return set(node.modifier.labels) if node.modifier is not None else set()
    if isinstance(node, BinaryExpr) and str(node.op) in ("and", "unless"):
        return _labels(node.lhs, known)
    return set().union(*(_labels(child, known) for child in _children(node)))


def _parts(node: Expr) -> Iterator[Expr]:
    if any(map(_filters, _of(node, Expr))):
        for child in _children(node):
            yield from _parts(child)
    elif isinstance(node, MatrixSelector):
        yield node.vector_selector  # what has a length of time is no answer by itself
    elif any(True for _ in _of(node, VectorSelector)):
        yield node


def _filters(node: Expr) -> bool:
    if isinstance(node, BinaryExpr):
        return str(node.op) in _FILTERS
    return isinstance(node, Call) and node.func.name in {"absent", "absent_over_time"}


def _grouping(node: Expr) -> Iterable[str]:
    if isinstance(node, AggregateExpr) and node.modifier is not None:
        return node.modifier.labels
    if isinstance(node, BinaryExpr) and node.modifier is not None:
        return [*(node.modifier.matching.labels if node.modifier.matching else ()), *(node.modifier.group_labels or ())]
    return ()


def _of(node: Expr, kind: type[Any]) -> Iterator[Any]:
    if isinstance(node, kind):
        yield node
    for child in _children(node):
        yield from _of(child, kind)


def _children(node: Expr) -> list[Expr]:
    if isinstance(node, BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, AggregateExpr | ParenExpr | UnaryExpr | SubqueryExpr):
        return [node.expr]
    if isinstance(node, MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, Call):
        return [argument for argument in node.args if not isinstance(argument, NumberLiteral)]
    return []
