"""What is wrong with a config: a line for each key, with what may have been meant."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gog.pipelines.config.sources import SOURCE_FORMS


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """A line for each key of `root` that is wrong, as `key.below: what to do`."""
    found = error.errors(include_url=False, include_context=False)
    kind = [one for one in found if one["loc"][:1] == ("source",) and one["loc"][2:] == ("kind",)]
    if kind:  # which keys a source has is decided by its kind
        found = [one for one in found if one["loc"][:1] != ("source",) or one in kind]
    return list(dict.fromkeys(f"{_key(one['loc'])}: {_plain(one, root)}" for one in found))


def _key(loc: Sequence[int | str]) -> str:
    parts = [str(part) for part in loc]
    if parts[:1] == ["source"] and parts[1:2] and parts[1] in SOURCE_FORMS:
        del parts[1]  # pydantic names the kind that it took; the file has no such key
    return ".".join(parts)


def _plain(error: Any, root: type[BaseModel]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    match error["type"]:
        case "extra_forbidden":
            return _meant("unknown key", error["loc"][-1], _keys_beside(error["loc"], root))
        case "missing":
            return "this key is needed"
        case "string_pattern_mismatch" if error["loc"][-1] == "run":
            return f"{str(error['input'])[:80]!r}: letters, digits, dot, dash and underscore, at most 64 of them"
        case "literal_error" | "enum":
            return _meant(message, error["input"], re.findall(r"'([^']*)'", message))
        case _:
            return message


def _meant(message: str, given: Any, known: Sequence[str]) -> str:
    close = get_close_matches(str(given)[:80], known, 1)
    return f"{message}; did you mean {close[0]}?" if close else message


def _keys_beside(loc: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    """The keys of the section that the key at `loc` is in."""
    models = [root]
    for part in loc[:-1]:
        inner = [
            below for m in models if part in m.model_fields for below in models_in(m.model_fields[str(part)].annotation)
        ]
        models = inner or models  # a place in a list, or the kind of a source, is no key
    return sorted({key for model in models for key in model.model_fields})


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that stand in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]
