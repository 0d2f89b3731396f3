"""Docstrings that stand under the fields of a class: what a column, a key of the config or a member of an enum means.

Python keeps no such docstring; it is read from the class's source.
"""

import ast
import inspect
import textwrap
from functools import cache


@cache
def field_docs(cls: type) -> dict[str, str]:
    """The docstring of each field that has one, in one line; a class's own fields go before those it inherits."""
    docs: dict[str, str] = {}
    for base in cls.__mro__:
        if base.__module__.startswith(("gog.", "gog_train")):
            docs = _own(base) | docs
    return docs


def _own(cls: type) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[name] = " ".join(text.split())
    return docs
