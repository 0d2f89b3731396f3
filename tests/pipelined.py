"""What a transform of Beam makes of some items, on a runner in this process."""

import json
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.testing.util import assert_that

from gog.transforms.services.loop import shared, unshare


def rows_and_counts(items: list[Any], transform: beam.PTransform) -> list[Any]:
    """All rows and counts of a transform that gives both, in no order."""
    out: list[Any] = []
    key = ("kept", id(out))
    shared(key, lambda: out)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows, counts = pipeline | beam.Create(items, reshuffle=False) | "Transform" >> transform
        every = (rows | "R" >> beam.Map(json.dumps), counts | "C" >> beam.Map(json.dumps)) | beam.Flatten()
        assert_that(every, partial(_hand_over, key))
    unshare(key)
    return out


def _hand_over(key: tuple[str, int], found: list[str]) -> None:
    shared(key, list[Any]).extend(json.loads(text) for text in found)
