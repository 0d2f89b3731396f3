"""Hypothesis strategies for boxes, image sizes and any record, made from the records' own annotations."""

import types
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic.fields import FieldInfo

from gog.schemas import REASONS, Box
from gog.schemas.base import Record

R = TypeVar("R", bound=Record)

text = st.text(max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
sizes = st.tuples(st.integers(1, 6000), st.integers(1, 6000))
"""Width and height of an image in pixels."""

_SPECIAL: dict[str, dict[str, st.SearchStrategy[Any]]] = {"Reject": {"reason": st.sampled_from(sorted(REASONS))}}


@st.composite
def boxes(draw: st.DrawFn, least: float = 1e-6) -> Box:
    """Any box whose sides are at least `least` of the image."""
    x1, y1 = draw(st.floats(0, 1 - least)), draw(st.floats(0, 1 - least))
    return Box.checked(x1, y1, draw(st.floats(min(1.0, x1 + least), 1)), draw(st.floats(min(1.0, y1 + least), 1)))


def records(record: type[R]) -> st.SearchStrategy[R]:
    """Any valid record of a class; integers fit 64 bits, text is any Unicode."""
    fields = {name: _values(field.annotation, field.metadata) for name, field in record.model_fields.items()}
    return st.builds(record, **(fields | _SPECIAL.get(record.__name__, {})))


def _values(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is JsonValue:
        return json_values
    if origin is Annotated:
        extra = [m for item in args[1:] for m in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _values(args[0], metadata + extra)
    if origin in (Union, types.UnionType):
        return st.one_of([_values(arg, metadata) for arg in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_values(args[0], []), min_size=_least(metadata, 0), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(text, _values(args[1], []), max_size=3)
    return _plain_values(annotation, metadata)


def _plain_values(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    if kind is Box:
        return boxes()
    if issubclass(kind, Record):
        return records(kind)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    if kind is str:
        patterns = [m.pattern for m in metadata if getattr(m, "pattern", None)]
        return st.from_regex(patterns[0], fullmatch=True) if patterns else text
    if kind is int:
        return st.integers(_least(metadata, -(2**63)), 2**63 - 1)
    simple: dict[Any, st.SearchStrategy[Any]] = {float: finite, bool: st.booleans(), types.NoneType: st.none()}
    return simple[kind]


def _least(metadata: list[Any], default: int) -> int:
    for item in metadata:
        if isinstance(item, annotated_types.Ge):
            return int(str(item.ge))
        if isinstance(item, annotated_types.MinLen):
            return item.min_length
    return default
