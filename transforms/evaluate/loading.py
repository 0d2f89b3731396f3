"""Loading a benchmark: its published files as items, with what was dropped and why. Free of Beam.

Every question of the files comes out once, as a `BenchItem` or as `Dropped`. Parquet needs pyarrow, which is loaded
when the first such file is opened.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Final, Literal, cast

from gog.schemas import AnswerType, plain
from gog.transforms.evaluate.benchmark import BENCHMARKS, Benchmark
from gog.transforms.evaluate.items import FLAGS, BenchItem, BenchmarkError, Dropped, DropReason, Unseen
from gog.transforms.evaluate.questions import SEED_MAPPING, Question, require
from gog.transforms.images import ImageError, load_image
from gog.transforms.ingest.seeds import IngestLimits, answers_of, question_of
from gog.transforms.sources import formats
from gog.transforms.sources.cells import RowError
from gog.transforms.sources.formats import Rows, SourceError, find_files
from gog.transforms.sources.kinds import format_of
from gog.transforms.sources.mapping import FieldMapping, MappingError, SourceRow
from gog.transforms.sources.picture_files import LocalImages
from gog.transforms.sources.row_images import ReadImage, image_bytes, image_url, only_picture

Kind = Literal["jsonl", "json", "csv", "parquet"]
Loaded = Iterator[BenchItem | Dropped]


def load_benchmark(
    name: str,
    path: str = "",
    split: str = "",
    *,
    pictures: bool = True,
    fetch: ReadImage | None = None,
    limits: IngestLimits | None = None,
) -> Loaded:
    """The items of a split, the first of `BENCHMARKS[name].splits` unless named, and what was dropped.

    `path` is what `BENCHMARKS[name].where` says. `pictures=False` gives items without images, for those who need the
    questions alone. `fetch` gets pictures that are only at an address; without it they keep their `image_url`.
    Raises `BenchmarkError` before the first item when there is no such file or its columns are not those published.
    """
    if name not in BENCHMARKS:
        raise BenchmarkError(f"{name!r} is no benchmark: there are {', '.join(BENCHMARKS)}")
    bench = BENCHMARKS[name]
    splits = bench.splits
    chosen = split or splits[0]
    if chosen not in splits:
        raise BenchmarkError(f"{name} has no split {split!r}: there are {', '.join(splits)}")
    if bench.items is not None:
        return iter(bench.items())
    if not path:
        raise BenchmarkError(f"{name} is not bundled: give the path of {bench.where}")
    try:
        loader = _Loader(bench, path, chosen, pictures, fetch, limits or IngestLimits())
        rows = loader.rows()
        first = next(rows, None)
    except (SourceError, MappingError) as error:
        raise BenchmarkError(str(error)) from error
    return _told(loader.items(rows if first is None else chain([first], rows)))


def _told(items: Loaded) -> Loaded:
    try:
        yield from items
    except SourceError as error:
        raise BenchmarkError(str(error)) from error


def kind_of_file(path: str) -> Kind:
    """The format of a file by its ending. `SourceError` for another."""
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in ("jsonl", "json", "csv", "parquet"):
        packed = "; unpack it first" if suffix in ("gz", "zst", "bz2", "xz", "zip") else ""
        raise SourceError(f"{path}: the name of a published file ends in .jsonl, .json, .csv or .parquet{packed}")
    return cast(Kind, suffix)


class _Loader:
    """One benchmark being loaded."""

    def __init__(
        self,
        bench: Benchmark,
        path: str,
        split: str,
        pictures: bool,
        fetch: ReadImage | None,
        limits: IngestLimits,
    ) -> None:
        self._bench, self._split, self._pictures, self._fetch = bench, split, pictures, fetch
        self._limits = limits
        self._set, path = bench.set_at(path, split)
        self._kind = kind_of_file(path)
        self._folder, self._names = find_files(path)
        self._mapping = SEED_MAPPING.model_copy(update={"image_text": self._set.image_text})
        beside = self._set.columns_beside
        self._beside = beside(self._folder, self._names) if beside else ()
        self._read_image = self._reader()
        self._given: Counter[tuple[str, str]] = Counter()

    def _reader(self) -> ReadImage | None:
        if not self._pictures:
            return None
        if self._set.pictures and self._set.pictures_beside:
            return self._set.pictures(self._set.pictures_beside(self._folder), self._limits.image)
        if self._set.image_text == "url":
            return self._fetch
        return LocalImages(self._folder, self._limits.image)

    def rows(self) -> Iterator[tuple[str, SourceRow]]:
        """File and row; `MappingError` before the first where a file has other columns than published."""
        for name in self._names:
            require(
                self._file(name), self._set.needs, str(self._folder / name), f"{self._bench.name} ({self._set.source})"
            )
        return ((name, row) for name in self._names for row in self._file(name))

    def _file(self, name: str) -> Iterator[SourceRow]:
        path = self._folder / name
        with formats.readable(path):
            for number, data, error in _rows(self._kind, path):
                yield SourceRow(f"{name}#{number}", data, error)

    def items(self, rows: Iterator[tuple[str, SourceRow]]) -> Loaded:
        """Every question once."""
        for file, row in rows:
            if row.error:
                names = [row.row_id] if self._set.per_row == 1 else [f"{row.row_id}.{n + 1}" for n in range(2)]
                yield from (Dropped(name, "bad_row", row.error) for name in names)
                continue
            data = dict(row.data)
            for beside in self._beside:
                data = {**beside(str(data.get("data_id", ""))), **data}
            for question in self._set.adapt(file, data):
                yield self._item(row, question)

    def _item(self, row: SourceRow, question: Question) -> BenchItem | Dropped:
        row_id = plain(question.id or row.row_id)
        if left_out := self._bench.left_out(self._split, question):
            return Dropped(row_id, "not_in_split", left_out)
        asked = SourceRow(row.row_id, question.columns())
        try:
            item = _storable(self._made(asked, question, row_id))
        except RowError as error:
            reason: DropReason = "no_answer" if error.reason == "ingest.no_answer" else "bad_row"
            return Dropped(row_id, reason, error.detail)
        except ImageError as error:
            return Dropped(row_id, _IMAGE_REASONS.get(error.reason, "image_unreadable"), error.detail)
        # A published id that comes twice is no reason to lose a question.
        key = (item.version, row_id)
        self._given[key] += 1
        again = self._given[key]
        return item if again == 1 else replace(item, item_id=f"{row_id}#{again}")

    def _made(self, asked: SourceRow, question: Question, row_id: str) -> BenchItem:
        mapping = self._mapping
        text = question_of(asked, mapping, self._limits)
        answers = answers_of(asked, mapping, self._limits)
        url = image_url(only_picture(asked, mapping), mapping) or ""
        image, suffix = self._picture(asked, mapping, bool(url))
        path = question.image if isinstance(question.image, str) and self._set.image_text == "path" else ""
        return BenchItem(
            item_id=row_id,
            benchmark=self._bench.name,
            version=question.version or self._bench.version,
            split=self._split,
            question=text,
            answers=answers,
            answer_type=AnswerType(question.answer_type) if question.answer_type else AnswerType.STRING,
            answer_low=question.answer_low,
            answer_high=question.answer_high,
            image=image,
            image_suffix=suffix,
            image_path=path,
            image_url=url,
            language=question.language or "en",
            category=question.category,
            subset=question.subset,
            level=question.level,
            unseen=cast(Unseen, question.unseen),
            gold_query=question.gold_query,
            entity=question.entity,
            choices=question.choices,
            choice=question.choice,
            flags=tuple(sorted(flag for flag in question.flags if flag in FLAGS)),
        )

    def _picture(self, asked: SourceRow, mapping: FieldMapping, at_address: bool) -> tuple[bytes | None, str]:
        """The picture, checked to decode, and its suffix; None where there is none or none is wanted."""
        value = asked.data["image"]
        if not self._pictures or (at_address and self._fetch is None):
            return None, ""
        if value is None and not self._set.all_have_images:
            return None, ""
        loaded = load_image(image_bytes(only_picture(asked, mapping), mapping, self._read_image), self._limits.image)
        return loaded.data, loaded.suffix


_IMAGE_REASONS: Final[Mapping[str, DropReason]] = {
    "ingest.image_unavailable": "image_unavailable",
    "ingest.image_gone": "image_unavailable",
    "store.miss": "image_unavailable",
}


def _storable(item: BenchItem) -> BenchItem:
    """The item with text that UTF-8 can hold; question and answers that it cannot hold are no item's."""
    texts = {each.name: getattr(item, each.name) for each in fields(item)}
    changed = {name: plain(value) for name, value in texts.items() if isinstance(value, str | tuple)}
    return replace(item, **changed)


def _rows(kind: Kind, path: Path) -> Rows:
    """All rows of a file, in bounded memory."""
    spans, rows = format_of(kind)
    for span in spans(path, 1 << 40):
        yield from rows(path, span)
