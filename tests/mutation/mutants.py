"""Mutants of a module: its source with one small mistake of the kind that people make. Pure.

https://en.wikipedia.org/wiki/Mutation_testing
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MODULE_LEVEL", "Mutant", "mutants"]

MODULE_LEVEL = 0
COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
# Calls that only log, and arguments that only affect speed or strictness.
WORDS_OF = frozenset({"debug", "info", "warning", "error", "exception"})
NO_BEHAVIOUR = frozenset({"strict", "maxsize", "slots", "frozen", "repr", "compare", "init"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: `before` at a line and a column (from 0, in bytes) is replaced by `after`.

    `function` is the first line of the enclosing function, decorators included, or MODULE_LEVEL. `source` is the whole
    module with the mistake.
    """

    line: int
    column: int
    function: int
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's source, in the order of its lines."""
    lines = source.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    whole = source.encode()
    for node, function in sorted(_places(ast.parse(source), MODULE_LEVEL), key=lambda each: _position(each[0])):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before = whole[begin:end].decode()
        for changed in _changed(node):
            after = ast.unparse(changed)
            # Parentheses keep the precedence of the surrounding code.
            written = after if isinstance(node, ast.stmt | ast.Constant) else f"({after})"
            mutated = (whole[:begin] + written.encode() + whole[end:]).decode()
            yield Mutant(node.lineno, node.col_offset, function, " ".join(before.split()), after, mutated)


type _Place = ast.expr | ast.stmt


def _position(node: _Place) -> tuple[int, int, int]:
    return node.lineno, node.col_offset, -(node.end_col_offset or 0)


def _places(node: ast.AST, function: int) -> Iterator[tuple[_Place, int]]:
    """The expressions and statements that affect behaviour, each with its function; no annotations, no messages."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "decorator_list", "bases", "exc", "msg", "names"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _has_no_effect(child):
                continue
            inside = function
            if isinstance(child, ast.FunctionDef):
                inside = min([child.lineno, *(each.lineno for each in child.decorator_list)])
            if isinstance(child, ast.expr | ast.Continue | ast.Break) and not isinstance(node, ast.JoinedStr):
                yield child, inside
            yield from _places(child, inside)


def _has_no_effect(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise() | ast.ImportFrom() | ast.Import() | ast.TypeAlias():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in WORDS_OF:
            return True
        case ast.Call(func=ast.Name(id="cast" | "TypeVar")) | ast.FormattedValue() | ast.JoinedStr():
            return True
        case ast.keyword(arg=str(arg)) if arg in NO_BEHAVIOUR:
            return True
        case _:
            return False


def _changed(node: _Place) -> Iterator[ast.AST]:  # noqa: C901, PLR0912 - a table: a case for each kind of mistake
    """The nodes that a mistake can put in place of a node."""
    match node:
        case ast.Compare(ops=ops):
            for number, op in enumerate(ops):
                yield _with(node, ops=[*ops[:number], COMPARED[type(op)](), *ops[number + 1 :]])
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.BinOp(op=op) if type(op) in CALCULATED and not _joins_texts(node):
            yield _with(node, op=CALCULATED[type(op)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(test=test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if value:
            yield ast.Constant(f"{value}~")
        case ast.Tuple(elts=elements, ctx=ast.Load()) | ast.Set(elts=elements) if len(elements) > 1:
            for number in range(len(elements)):
                yield _with(node, elts=elements[:number] + elements[number + 1 :])
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case _:
            pass


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _joins_texts(node: ast.BinOp) -> bool:
    """Whether the operands are strings or types, for which another operator is an error."""
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str | None))
        for side in (node.left, node.right)
    )
