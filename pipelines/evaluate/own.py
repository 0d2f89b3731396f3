"""A benchmark of one's own questions: the rows of a source, read as ingest reads them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gog.pipelines.config.config import Config, ConfigError, load_config
from gog.pipelines.config.sources import FileSource, HubSource, SourceSettings
from gog.pipelines.steps.ingest import Seeds
from gog.schemas import Reject
from gog.transforms.evaluate.items import BenchItem, BenchmarkError, Dropped, DropReason
from gog.transforms.evaluate.loading import Loaded
from gog.transforms.ingest.seeds import answers_of, question_of, reject_row
from gog.transforms.sources.cells import RowError
from gog.transforms.sources.formats import SourceError
from gog.transforms.sources.mapping import MappingError, SourceRow
from gog.transforms.sources.row_images import pictures_of

_ENDING: Final = re.compile(r"\.(jsonl|json|csv|tsv|parquet|tar)(?:\.(?:gz|zst|bz2|xz))?$", re.IGNORECASE)
_REASONS: Final[dict[str, DropReason]] = {
    "ingest.no_answer": "no_answer",
    "ingest.no_image": "no_image",
    "ingest.image_unavailable": "image_unavailable",
    "ingest.image_gone": "image_unavailable",
    "store.miss": "image_unavailable",
}


def own_items(config: Config, name: str, path: str, split: str, *, pictures: bool = True) -> Loaded:
    """The questions of a file as items of the benchmark `name`, and what was dropped; every row once.

    `path` is YAML with a `source`, or a file of rows in the form of the config's own source, whose mapping it then
    has. `pictures=False` gives the questions alone. Raises `ConfigError`, and `BenchmarkError` on unreadable files.
    """
    try:
        seeds = Seeds.of(config.model_copy(update={"source": _source(config, name, path)}))
        rows = (row for spec in seeds.rows.shards() for row in seeds.rows.read_shard(spec))
        read = _whole if pictures else _question
        items = _unique(read(row, seeds, config) for row in rows)
        for item in items:
            yield replace(item, benchmark=name, split=split) if isinstance(item, BenchItem) else item
    except (SourceError, MappingError) as error:
        raise BenchmarkError(f"{name}: {error}") from error


def _source(config: Config, name: str, path: str) -> SourceSettings:
    """The source of a benchmark. Raises `ConfigError`."""
    if Path(path).suffix.lower() in (".yaml", ".yml"):
        source: SourceSettings = load_config(path).source
        if not isinstance(source, FileSource | HubSource):
            raise ConfigError(f"{path}: a benchmark of your own needs a `source` with files and a mapping")
        return source
    own = config.source
    if not isinstance(own, FileSource | HubSource):
        raise ConfigError(
            f"{name}={path}: nothing says what its columns are: name -c a config whose source has a mapping, or "
            f"{name}=FILE.yaml with such a `source`"
        )
    ending = _ENDING.search(path)
    if ending is None:
        raise ConfigError(
            f"{name}={path}: expected .jsonl, .json, .csv, .tsv, .parquet or .tar, or .yaml with a `source`"
        )
    kind = ending[1].lower().replace("tar", "webdataset")
    form = own.model_dump(include={"delimiter", "quote"}) if kind == getattr(own, "kind", "") else {}
    root, mapping = own.image_root, own.mapping
    return FileSource.model_validate(
        {"kind": kind, "path": path, "dataset": name, "image_root": root, "mapping": mapping, **form}
    )


def _whole(row: SourceRow, seeds: Seeds, config: Config) -> BenchItem | Dropped:
    """The item with its picture."""
    made = seeds.read(row, config)
    if isinstance(made, Reject):
        return _dropped(made)
    seed, (original, *further) = made.seed, made.pictures
    return BenchItem(
        item_id=made.source_id or row.row_id,
        benchmark="",
        version=seed.dataset_version,
        split="",
        question=seed.question,
        answers=seed.answers,
        answer_type=seed.answer_type,
        answer_low=seed.answer_low,
        answer_high=seed.answer_high,
        answer_unit=seed.answer_unit,
        image=original.data,
        image_suffix=original.suffix,
        further_images=tuple((picture.data, picture.suffix) for picture in further),
        language=seed.language,
        category=seed.category,
        entity=seed.entity or "",
    )


def _question(row: SourceRow, seeds: Seeds, config: Config) -> BenchItem | Dropped:
    """The item without what comes of its picture."""
    try:
        if row.error:
            raise RowError("ingest.bad_row", row.error)
        question = question_of(row, seeds.mapping, config.ingest, len(pictures_of(row, seeds.mapping)))
        answers = answers_of(row, seeds.mapping, config.ingest)
    except RowError as error:
        return _dropped(reject_row(row, error.reason, error.detail))
    return BenchItem(row.row_id, "", seeds.version, "", question, answers)


def _dropped(reject: Reject) -> Dropped:
    other: DropReason = "image_unreadable" if reject.reason.startswith("ingest.image") else "bad_row"
    return Dropped(reject.id, _REASONS.get(reject.reason, other), reject.detail)


def _unique(items: Iterator[BenchItem | Dropped]) -> Loaded:
    """An id that comes again is numbered: it is no reason to lose a question."""
    given: Counter[str] = Counter()
    for item in items:
        if isinstance(item, BenchItem):
            given[item.item_id] += 1
            again = given[item.item_id]
            yield item if again == 1 else replace(item, item_id=f"{item.item_id}#{again}")
        else:
            yield item
