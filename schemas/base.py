"""What all records share: the base classes, content ids, and text and numbers that every file can hold."""

import hashlib
import json
import math
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gog.schemas.boxes import Box

SCHEMA_VERSION: Final = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BoxField = Annotated[Box, AfterValidator(lambda box: Box.checked(*box))]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text. `ValueError` on NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_id(kind: str, value: Any) -> str:
    """Id of a record: a short prefix and 16 hex digits of the sha256 of its canonical JSON."""
    digest = hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{kind}-{digest[:16]}"


_PLAIN: Final = frozenset({int, bool, type(None)})


def plain(value: Any) -> Any:
    """The value as UTF-8 and JSON can hold it.

    Models and web pages send halves of surrogate pairs, which no file takes, and NaN inside of JSON. The former
    become U+FFFD, the latter null: a hostile byte costs itself, not the shard that it is in.
    """
    kind = type(value)
    if kind is str and value.isascii():
        return value
    if kind in _PLAIN or isinstance(value, BaseModel):
        return value
    if kind is tuple or kind is list:
        return kind(map(plain, value))
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # whole pairs join
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    return value


class Record(BaseModel):
    """Base of all records: frozen, closed to unknown fields, without NaN or text that is not UTF-8."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _made_plain(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {k: v if isinstance(v, float) else plain(v) for k, v in data.items()}


class Row(Record):
    """A record that is a row of a table in the lake."""

    schema_version: Literal[1] = SCHEMA_VERSION
