"""The rows of an SFT export that are trained on: those within the length budget, as a dataset that TRL takes.

datasets is imported inside of the functions.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gog.transforms.dialect.backbones import Backbone
from gog_train.collator import row_length
from gog_train.data import Export
from gog_train.mix import mixed, told

SHOWN: Final = 5
"""Rows that are named in a message."""

COLUMNS: Final = ("id", "behaviour", "messages", "tools", "images")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a split that fit, and those that are too long."""

    dataset: Any
    """`datasets.Dataset` of `COLUMNS`."""
    left_out: tuple[tuple[str, int], ...] = ()
    """Id of a row and its length in tokens."""
    tokens: int = 0
    """Tokens of the rows that fit."""

    def __len__(self) -> int:
        return len(self.dataset)


def rows_of(export: Export, split: str) -> Any:
    """What training reads of a split, as a `datasets.Dataset`; images stay files."""
    import datasets

    rows = export.rows(split).select_columns(list(COLUMNS))
    return rows.cast_column("images", datasets.List(datasets.Image(decode=False)))


def fitting_rows(dataset: Any, processor: Any, backbone: Backbone, max_length: int, name: str, say: Say) -> Rows:
    """The rows of at most so many tokens with their images."""
    kept: list[int] = []
    left_out: list[tuple[str, int]] = []
    total = 0
    told_at = time.monotonic()
    for number, row in enumerate(dataset):
        length = row_length(row, processor, backbone)
        if length <= max_length:
            kept.append(number)
            total += length
        else:
            left_out.append((str(row["id"]), length))
        if time.monotonic() - told_at > 10:
            told_at = time.monotonic()
            say(f"{name}: measured {number + 1} of {len(dataset)} rows")
    say(f"{name}: {len(kept)} rows, {total} tokens{_too_long(left_out, max_length)}")
    return Rows(dataset.select(kept), tuple(left_out), total)


def with_mix(rows: Rows, shares: Mapping[str, float], say: Say) -> Rows:
    """The rows as an epoch draws them (`gog_train.mix`)."""
    if not shares:
        return rows
    behaviours = list(rows.dataset["behaviour"])
    numbers = mixed(behaviours, shares)
    say(f"an epoch draws {len(numbers)} rows: {told(behaviours, numbers)}")
    return replace(rows, dataset=rows.dataset.select(numbers))


def trainable(rows: Rows) -> Any:
    """The dataset with its JSON text read, row by row as it is asked for."""

    def read(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return columns | {key: [json.loads(text) for text in columns[key]] for key in ("messages", "tools")}

    return rows.dataset.remove_columns("behaviour").with_transform(read)


def write_left_out(output: Path, splits: Mapping[str, Rows], max_length: int) -> None:
    """`left_out.jsonl`: a line for every row that is too long."""
    output.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"split": split, "id": name, "tokens": tokens, "max_length": max_length}) + "\n"
        for split, rows in splits.items()
        for name, tokens in rows.left_out
    ]
    (output / "left_out.jsonl").write_text("".join(lines), "utf-8")


def _too_long(left_out: Sequence[tuple[str, int]], max_length: int) -> str:
    if not left_out:
        return ""
    longest = sorted(left_out, key=lambda row: -row[1])[:SHOWN]
    named = ", ".join(f"{name} ({tokens})" for name, tokens in longest)
    return f"; left out {len(left_out)} of more than {max_length} tokens: {named}{' ...' * (len(left_out) > SHOWN)}"
