"""Entries as lines of JSON: what cassettes are made of. Whatever is read is checked."""

import hashlib
import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gog.schemas import FailureClass
from gog.transforms.services.store.keys import request_key
from gog.transforms.services.store.records import Dated, Entry, Kept

LONGEST_NAME: Final = 1000
_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Name = Annotated[str, Field(max_length=LONGEST_NAME)]


class LineError(ValueError):
    """A line is not what a store writes; the message says why, in few words."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    kind: _Name
    provider: _Name
    purpose: _Name
    request: str
    answer: str | None = None
    failure: FailureClass | None = None
    detail: Annotated[str, Field(max_length=2000)] = ""
    created: _Amount
    cost: _Amount = 0.0
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    over: _Amount = 0.0


def entry_line(dated: Dated) -> str:
    """The entry as one line, what is default left out."""
    entry, kept = dated.entry, dated.entry.kept
    line: dict[str, Any] = {
        "key": entry.key,
        "kind": entry.kind,
        "provider": entry.provider,
        "purpose": entry.purpose,
        "request": entry.request,
        "answer": kept.answer,
        "failure": kept.failure,
        "detail": kept.detail.encode(errors="replace").decode()[:2000],
        "created": dated.created,
        "cost": entry.cost,
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "over": dated.over,
    }
    fields = {name: value for name, value in line.items() if value != _Answer.model_fields[name].default}
    return json.dumps(fields, ensure_ascii=False)


def read_entry(line: str | bytes) -> Dated:
    """The entry of a line. Raises `LineError`, also where the key is not the hash of the request."""
    try:
        read = _Answer.model_validate_json(line)
    except ValidationError as error:
        raise LineError(_first(error)) from None
    if (read.answer is None) == (read.failure is None):
        raise LineError("an entry has an answer or a failure, one of them")
    if request_key(read.request) != read.key:
        raise LineError(f"the key {read.key[:16]} is not the hash of its request")
    kept = Kept(read.answer, read.failure, read.detail)
    entry = Entry(
        read.key,
        read.kind,
        read.provider,
        read.purpose,
        read.request,
        kept,
        read.cost,
        read.prompt_tokens,
        read.completion_tokens,
    )
    return Dated(entry, read.created, read.over)


def digest(data: bytes) -> str:
    """Sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])
