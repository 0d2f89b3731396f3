"""Duplicates at ingest: shard by shard in the source's order, or over many workers by keys, with the same result.

By keys, what meets under one key is what may be the same: rows with one picture or one id of the source, pictures with
one band of their perceptual hash, pictures of rows that are near each other (parts are looked for among those alone).
What hangs together so is a component, and each is decided for itself, in the source's order. All that is gathered in
one place are pairs of rows that hang together, 16 bytes each.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from gog.schemas import Reject, Seed, Unit
from gog.transforms.beam.rows import COUNTS, ROWS, count, row
from gog.transforms.components import components
from gog.transforms.duplicates.hashes import CROWDED, band_masks, nearest_first
from gog.transforms.duplicates.pictures import Fitted, Pictures, as_whole, fitted_part, same_pixels, with_small
from gog.transforms.duplicates.window import LOOKED_AT, WINDOW, Shown, Window
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.ingest.duplicates import Duplicates, shown, source_key
from gog.transforms.ingest.seeds import Ingested
from gog.transforms.sources.mapping import SourceRow

_PAIRS: Final = "pairs"
_LIGHT: Final = "light"
_STRETCH: Final = 4
"""Windows of rows whose pictures are looked at under one key for parts; those of the last go to the next key too."""


class Decoded(NamedTuple):
    """A row and what became of it, at its place: the source's order over all shards."""

    place: int
    shard: int
    row: SourceRow
    found: Ingested | Reject


class Seen(NamedTuple):
    """What a process knows of the rows before a shard."""

    rows: Duplicates
    pictures: Pictures
    remember: Callable[[int, list[tuple[Shown, tuple[str, ...]]]], None]
    """Keeps the new pictures of a shard with their groups, for a run that goes on."""


class InOrder(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`Decoded` of one shard to rows and counts."""

    def __init__(self, seen: Callable[[], Seen]) -> None:
        """`seen` opens what earlier shards of the run hold."""
        super().__init__()
        self._seen = seen

    def expand(self, decoded: Any) -> Any:
        """Rows and counts."""
        out = (
            decoded
            | "Shard" >> beam.Map(lambda item: (item.shard, item))
            | "Together" >> beam.GroupByKey()
            | "Duplicates" >> beam.FlatMap(_in_order, self._seen).with_outputs(ROWS, COUNTS, main="main")
        )
        return out[ROWS], out[COUNTS]


def _in_order(group: tuple[int, Iterable[Decoded]], seen: Callable[[], Seen]) -> Iterator[Any]:
    shard, items = group
    known = seen()
    ordered = sorted(items, key=lambda item: item.place)
    new = known.rows.new_pictures((item.place, item.found) for item in ordered if isinstance(item.found, Ingested))
    likes = known.pictures.like(new)
    groups = [
        (picture._replace(small=None), known.rows.learn(picture.sha256, like))
        for picture, like in zip(new, likes, strict=True)
    ]
    known.remember(shard, groups)
    for item in ordered:
        yield from _out(item, known.rows)


def _out(item: Decoded, known: Duplicates) -> Iterator[Any]:
    record = item.found if isinstance(item.found, Reject) else known.check(item.row, item.found)
    yield row(item.shard, record)
    yield count("ingest", Unit.ROW, item.shard, passed=int(isinstance(record, Seed)))


class ByKeys(beam.PTransform):  # type: ignore[misc, unused-ignore]
    """`Decoded` of all shards of a run to rows and counts, on as many workers as there are."""

    def __init__(self, images: Callable[[], ImageStore], distance: int, window: int = WINDOW) -> None:
        """`images` opens the store that holds the pictures; `distance` is in bits of perceptual hashes."""
        super().__init__()
        self._images, self._distance, self._window = images, distance, window

    def expand(self, decoded: Any) -> Any:
        """Rows and counts."""
        split = decoded | "Split" >> beam.FlatMap(_split).with_outputs(_LIGHT, main="rows")
        same = (
            split[_LIGHT]
            | "Same" >> beam.GroupByKey()
            | "First" >> beam.FlatMap(_same).with_outputs(_PAIRS, main="firsts")
        )
        like = (
            same.firsts
            | "Keys" >> beam.FlatMap(_keys, band_masks(self._distance), self._window)
            | "Meet" >> beam.GroupByKey()
            | "Candidates" >> beam.FlatMap(_candidates, self._distance, self._window)
            | "OfOne" >> beam.GroupByKey()
            | "Pixels" >> beam.FlatMap(_like, self._images, self._distance)
        )
        labels = (
            (same[_PAIRS], like | "Pairs" >> beam.FlatMap(_pairs))
            | "AllPairs" >> beam.Flatten()
            | "Gather" >> beam.GroupByKey()
            | "Components" >> beam.FlatMap(_components)
        )
        placed = (
            {"rows": split.rows, "labels": labels, "like": like}
            | "Join" >> beam.CoGroupByKey()
            | "Place" >> beam.FlatMap(_placed).with_outputs(ROWS, COUNTS, main="main")
        )
        decided = (
            placed.main
            | "Component" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(_decide).with_outputs(ROWS, COUNTS, main="main")
        )
        return (
            (placed[ROWS], decided[ROWS]) | "Rows" >> beam.Flatten(),
            (placed[COUNTS], decided[COUNTS]) | "Counts" >> beam.Flatten(),
        )


Like = tuple[tuple[int, str], ...]
"""Earlier pictures that one is like: their places and hashes, in order."""


def _split(item: Decoded) -> Iterator[Any]:
    """The row without its small picture, and what it may share with others."""
    found = item.found
    if isinstance(found, Ingested):
        picture = shown(item.place, found)
        yield TaggedOutput(_LIGHT, (f"picture {picture.sha256}", picture))
        if found.source_id is not None:
            key = f"source {source_key(found.seed.dataset, found.source_id):x}"
            yield TaggedOutput(_LIGHT, (key, picture._replace(small=None)))
        item = item._replace(found=replace(found, small=None))
    yield item.place, item


def _same(group: tuple[str, Iterable[Shown]]) -> Iterator[Any]:
    """The first that shows a picture; and that the rows hang together."""
    key, pictures = group
    first: Shown | None = None
    places = array("q")
    for picture in pictures:
        places.append(picture.place)
        first = picture if first is None or picture.place < first.place else first
    if first is not None and key.startswith("picture"):
        yield first
    for place in places:
        if first is not None and place != first.place:
            yield TaggedOutput(_PAIRS, (None, (first.place, place)))


def _keys(picture: Shown, masks: tuple[int, ...], window: int) -> Iterator[tuple[str, Shown]]:
    """Where a picture meets those that it may be like."""
    stretch, within = divmod(picture.place, _STRETCH * window)
    yield f"rows {stretch}", picture
    if within >= (_STRETCH - 1) * window:
        yield f"rows {stretch + 1}", picture
    for band, mask in enumerate(masks):
        yield f"band {band} {picture.phash & mask:x}", picture._replace(small=None)


Meeting = tuple[Shown, Shown, Fitted | None]
"""A picture, an earlier one that it may be like, and the part that is fitted; None where only their hashes are near."""


def _candidates(group: tuple[str, Iterable[Shown]], distance: int, window: int) -> Iterator[tuple[int, Meeting]]:
    key, found = group
    kind, number, *_ = key.split()
    pictures = sorted(found, key=lambda picture: picture.place)
    if kind == "band":
        hashes, numbers = np.array([picture.phash for picture in pictures], np.uint64), np.arange(len(pictures))
        for order, picture in enumerate(pictures):
            before = slice(min(order, CROWDED))
            for earlier in nearest_first(picture.phash, hashes[before], numbers[before], distance)[:LOOKED_AT]:
                yield picture.place, (picture, pictures[earlier], None)
        return
    start = int(number) * _STRETCH * window
    last = Window(window)
    last.add(picture for picture in pictures if picture.place < start)
    own = [picture for picture in pictures if picture.place >= start]
    for picture, candidates in zip(own, last.meet(own), strict=True):
        for candidate in candidates:
            if (fitted := fitted_part(picture, candidate)) is not None:
                light = picture._replace(small=None), candidate.earlier._replace(small=None)
                yield picture.place, (*light, fitted)


def _like(
    group: tuple[int, Iterable[Meeting]], images: Callable[[], ImageStore], distance: int
) -> Iterator[tuple[int, Like]]:
    """The earlier pictures that one is like, by their pixels."""
    place, meetings = group
    open_picture = partial(open_image, images())
    near, found = dict[int, Shown](), set[tuple[int, str]]()
    picture: Shown | None = None
    for picture, earlier, fitted in meetings:
        if fitted is None:
            near[earlier.place] = earlier
        elif same_pixels(open_picture, picture.sha256, earlier.sha256, fitted):
            found.add((earlier.place, earlier.sha256))
    if picture is not None and near:
        picture = with_small(picture, open_picture)
        hashes = np.array([earlier.phash for earlier in near.values()], np.uint64)
        for earlier_place in nearest_first(picture.phash, hashes, np.array(list(near)), distance)[:LOOKED_AT]:
            earlier = with_small(near[earlier_place], open_picture)
            fitted = fitted_part(picture, as_whole(earlier))
            if fitted is not None and same_pixels(open_picture, picture.sha256, earlier.sha256, fitted):
                found.add((earlier.place, earlier.sha256))
    if found:
        yield place, tuple(sorted(found))


def _pairs(item: tuple[int, Like]) -> Iterator[tuple[None, tuple[int, int]]]:
    place, like = item
    for earlier, _ in like:
        yield None, (earlier, place)


def _components(group: tuple[None, Iterable[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    return components(group[1])


def _placed(item: tuple[int, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
    """A row that hangs together with none is decided; any other goes to its component with what its picture is like."""
    _, parts = item
    (decoded,), component, like = parts["rows"], list(parts["labels"]), list(parts["like"])
    if component:
        yield component[0], (decoded, like[0] if like else ())
    else:
        yield from _out(decoded, Duplicates())


def _decide(group: tuple[int, Iterable[tuple[Decoded, Like]]]) -> Iterator[Any]:
    """The rows of a component, in the source's order."""
    known = Duplicates()
    for item, like in sorted(group[1], key=lambda pair: pair[0].place):
        if isinstance(item.found, Ingested):
            known.learn(item.found.seed.image_sha256, [sha256 for _, sha256 in like])
        yield from _out(item, known)
