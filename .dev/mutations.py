"""What a mutant is: one change of a file's tree. `mutants.py` runs them."""

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
Change = tuple[ast.AST, str, Callable[[], None]]
"""Where, what, and a function that makes it in place."""


class Mutant(NamedTuple):
    """A change, by its number among those of its file; `source` is its line as it was, without the margin."""

    path: str
    number: int
    line: int
    source: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} | {self.source} | {self.what}"


def changes(node: ast.AST) -> Iterator[Change]:
    """Every change of a tree but those of annotations, messages, docstrings, imports, loggers and exported names."""
    if isinstance(node, (ast.Import, ast.ImportFrom)) or _is_message(node):
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "_logger", "_log", "EXAMPLES"):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Field", "ConfigDict"):
        return  # defaults and bounds of settings: a test of one repeats it
    yield from _changes(node)
    if isinstance(node, ast.Raise) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            in_text = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
            if isinstance(child, ast.AST) and not in_text:
                yield from changes(child)


def _is_message(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr):
        return False
    return isinstance(node.value, ast.Constant) or ast.unparse(node).startswith(("_log", "warnings."))


def _changes(node: ast.AST) -> Iterator[Change]:
    def change(what: str, field: str, value: Any, at: int | None = None, of: ast.AST = node) -> Change:
        if at is None:
            return of, what, lambda: setattr(node, field, value)
        return of, what, lambda: getattr(node, field).__setitem__(at, value)

    match node:
        case ast.Compare(ops=operators):
            for at, op in enumerate(operators):
                new = SWAPS[type(op)]()
                yield change(f"{type(op).__name__} -> {type(new).__name__}", "ops", new, at)
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            new = SWAPS[type(op)]()
            yield change(f"{type(op).__name__} -> {type(new).__name__}", "op", new)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield change("without not", "operand", ast.UnaryOp(ast.Not(), operand))
        case ast.UnaryOp(op=ast.USub()):
            yield change("without minus", "op", ast.UAdd())
        case ast.Constant(value=bool(value)):
            yield change(f"{value} -> {not value}", "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield change(f"{value} -> {value + 1}", "value", value + 1)
        case ast.Constant(value=str(value)) if value:
            yield change(f"{value!r:.40} -> ''", "value", "")
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield change("returns None", "value", ast.Constant(None))
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield change("condition turned round", "test", ast.UnaryOp(ast.Not(), test), of=test)
        case ast.comprehension(ifs=[first, *_]):
            yield change("takes all", "ifs", [], of=first)
        case ast.Call(func=func, args=[first, second, *rest]) if ast.unparse(func) not in ("min", "max"):
            yield change("first two arguments swapped", "args", [second, first, *rest])
        case ast.Call(keywords=[first, second, *rest]) if first.arg and second.arg:
            swapped = [ast.keyword(first.arg, second.value), ast.keyword(second.arg, first.value), *rest]
            yield change(f"{first.arg} and {second.arg} swapped", "keywords", swapped)
    for field in ("body", "orelse", "finalbody"):
        block = getattr(node, field, None)
        for at, statement in enumerate(block if isinstance(block, list) else ()):
            acts = isinstance(statement, (ast.Raise, ast.AugAssign, ast.Break, ast.Continue, ast.Expr))
            if acts and not _is_message(statement):
                yield change("dropped", field, ast.Pass(), at, of=statement)


def mutants_of(path: str, text: str) -> list[Mutant]:
    """All mutants of a file."""
    lines, found = text.splitlines(), enumerate(changes(ast.parse(text)))
    return [Mutant(path, n, at.lineno, lines[at.lineno - 1].strip(), what) for n, (at, what, _) in found]  # type: ignore[attr-defined]


def mutated(mutant: Mutant, text: str) -> str:
    """The file's text with the change in it; it loses its comments."""
    tree = ast.parse(text)
    next(make for number, (_, _, make) in enumerate(changes(tree)) if number == mutant.number)()
    return ast.unparse(ast.fix_missing_locations(tree))
