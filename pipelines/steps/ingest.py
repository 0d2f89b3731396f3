"""The ingest pipeline: source rows to seeds and images, shard by shard, in the source's order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

import apache_beam as beam

from gog.pipelines.config.config import Config
from gog.pipelines.config.sources import AtlasSource, FileSource, HubSource, PublishedSource
from gog.pipelines.connect.services import fetched_images, images_for
from gog.pipelines.lake.disk import disk_errors
from gog.pipelines.lake.forgotten import left_out
from gog.pipelines.lake.lake import Lake, write_atomic
from gog.pipelines.sources.benchmarks import benchmarks_of
from gog.pipelines.sources.files import ATLAS_MAPPING, AtlasRows, FileRows, ShardSpec, Source, first_rows
from gog.pipelines.sources.hub import hub_rows
from gog.pipelines.sources.published import PublishedRows
from gog.pipelines.sources.selection import Selected
from gog.pipelines.steps.context import Context
from gog.schemas import Reject, Seed
from gog.transforms.beam.duplicates import ByKeys, InOrder, Seen
from gog.transforms.beam.ingest import Ingest
from gog.transforms.duplicates.pictures import Pictures
from gog.transforms.duplicates.window import Shown
from gog.transforms.image_store import open_image, same_store
from gog.transforms.ingest.duplicates import Duplicates
from gog.transforms.ingest.seeds import Ingested, to_seed
from gog.transforms.place import local_folder
from gog.transforms.services.loop import shared, unshare
from gog.transforms.sources.csv_format import Dialect
from gog.transforms.sources.mapping import FieldMapping, MappingError, SourceRow, check_mapping
from gog.transforms.sources.picture_files import LocalImages
from gog.transforms.sources.row_images import ReadImage
from gog.transforms.take_in import Rows


@dataclass(frozen=True, slots=True)
class Seeds:
    """The configured source, with what turns its rows into seeds."""

    rows: Source
    mapping: FieldMapping
    dataset: str
    version: str
    read_image: ReadImage | None

    @classmethod
    def of(cls, config: Config) -> Self:
        """Open the source. Raises `SourceError`, and `MappingError` when its first rows have none of a column."""
        seeds = cls._all_of(config)
        if config.source.all_rows:
            return seeds
        selected = Selected(seeds.rows, config.source, config.seed, config.shard_size)
        return replace(seeds, rows=selected)

    def read(self, row: SourceRow, config: Config) -> Ingested | Reject:
        """A row as a seed with its picture, or why it is none."""
        return to_seed(
            row,
            self.mapping,
            dataset=self.dataset,
            version=self.version,
            limits=config.ingest,
            read_image=self.read_image,
            question_images=config.episode.question_images,
        )

    @classmethod
    def _all_of(cls, config: Config) -> Self:
        source, size, limits = config.source, config.shard_size, config.ingest.image
        match source:
            case AtlasSource():
                atlas = AtlasRows(source.count, config.seed, size, held_out=source.held_out, kinds=source.kinds)
                return cls(atlas, ATLAS_MAPPING, "atlas", str(config.seed), None)
            case PublishedSource():
                published = PublishedRows(source, size)
                dataset = source.dataset or source.kind
                web = published.mapping.image_text == "url"
                read = fetched_images(config) if web else published.images(source.images, limits)
                return cls(published, published.mapping, dataset, source.version, read)
            case HubSource():
                rows = hub_rows(source, local_folder(config.lake), size)
                dataset, version = source.dataset or source.name, source.revision or ""
                folder = Path(source.image_root) if source.image_root else rows.folder
            case FileSource():
                dialect = Dialect(source.delimiter, source.quote)
                rows = FileRows(source.path, source.kind, size, dialect, local_folder(config.lake) / "sources")
                dataset, version = source.dataset, source.version
                folder = Path(source.image_root) if source.image_root else Path(source.path).parent
        try:
            check_mapping(islice(first_rows(rows), 100), source.mapping)
        except MappingError as error:
            if isinstance(source, FileSource) and source.kind == "csv" and not source.delimiter:
                raise MappingError(f"{error} (if other signs than commas part them, set source.delimiter)") from error
            raise
        web = source.mapping.image_text == "url"
        read = fetched_images(config) if web else LocalImages(folder, limits)
        return cls(rows, source.mapping, dataset, version, read)


def ingest(context: Context, seeds: Seeds, specs: Mapping[int, ShardSpec], shards: Sequence[int]) -> None:
    """Ingest the shards that are missing.

    Elsewhere than on this machine all shards are read where one is missing, since each row is compared with those
    before it; only what is missing is written.
    """
    root, bits = str(context.lake.root), context.config.curate.near_duplicate_bits
    benchmarks, rows_of_shard = benchmarks_of(context.config), max(spec.rows for spec in specs.values())
    # Processes of this machine take the store as it is; others open it by its place.
    images = partial(same_store, context.lake.images) if context.local else partial(images_for, root)
    rows_in = Rows(
        images,
        seeds.mapping,
        context.config.ingest,
        seeds.dataset,
        seeds.version,
        benchmarks,
        context.config.filters,
        left_out(context.lake),
        context.config.episode.question_images,
    )

    def build(pipeline: beam.Pipeline, batch: list[int]) -> None:
        in_order = InOrder(partial(_seen, root, context.run, batch[0], bits, rows_of_shard))
        rows, counts = context.begin(
            pipeline, "ingest", [(shard, specs[shard]) for shard in (batch if context.local else specs)]
        ) | "Ingest" >> Ingest(
            seeds.rows.read_shard,
            rows_in,
            seeds.read_image,
            in_order if context.local else ByKeys(images, bits),
            rows_of_shard,
        )
        if not context.local and len(batch) < len(specs):
            missing = frozenset(batch)
            rows |= "MissingRows" >> beam.Filter(lambda row: row[1] in missing)
            counts |= "MissingCounts" >> beam.Filter(lambda count: count[0][2] in missing)
        context.write("ingest", rows, counts, batch)

    context.each("ingest", shards, build)


def forget_seen(context: Context) -> None:
    """Let go of what this process knows of the run's seeds, when no more are to come."""
    unshare(_seen_key(str(context.lake.root), context.run))


def _seen_key(root: str, run: str) -> tuple[str, str, str]:
    return "duplicates", root, run


def _seen(root: str, run: str, first: int, bits: int, rows_of_shard: int) -> Seen:
    """What the shards before `first` hold. Kept by the process, so that each shard is read once."""
    key, lake = _seen_key(root, run), Lake(root)

    def fresh() -> tuple[Duplicates, Pictures, set[int]]:
        return Duplicates(), Pictures(partial(open_image, lake.images), bits), set()

    known, pictures, read = shared(key, fresh)
    if first in read:  # an earlier try failed: what it read is not in the lake, and no duplicate of itself
        unshare(key)
        known, pictures, read = shared(key, fresh)
    for shard in range(first):
        if shard not in read:
            for picture in _pictures_of(lake, run, shard, rows_of_shard):
                known.add_picture(picture.sha256, picture.groups)
                pictures.add(Shown(picture.place, picture.sha256, int(picture.phash, 16)))
            for seed in lake.read_table(run, "seeds", Seed, "ingest", shard):
                known.add_known(seed)
            read.add(shard)
    read.add(first)
    return Seen(known, pictures, partial(_remember, lake, run))


class _Picture(NamedTuple):
    """A picture that a shard was the first to show."""

    place: int
    sha256: str
    phash: str
    groups: tuple[str, ...]


def _remember(lake: Lake, run: str, shard: int, pictures: list[tuple[Shown, tuple[str, ...]]]) -> None:
    """Keep the pictures that a shard was the first to show, those of rows that left too: later ones are compared."""
    lines = (json.dumps([shown.place, shown.sha256, f"{shown.phash:016x}", groups]) for shown, groups in pictures)
    write_atomic(lake.pictures_path(run, shard), "".join(f"{line}\n" for line in lines).encode())


def _pictures_of(lake: Lake, run: str, shard: int, rows_of_shard: int) -> Iterator[_Picture]:
    """The pictures that a shard was the first to show; those of its seeds where they were not kept."""
    path = lake.pictures_path(run, shard)
    with disk_errors(path, "read"):
        text = path.read_text("utf-8") if path.exists() else None
    if text is not None:
        for place, sha256, phash, groups in map(json.loads, text.splitlines()):
            yield _Picture(place, sha256, phash, tuple(groups))
        return
    for number, seed in enumerate(lake.read_table(run, "seeds", Seed, "ingest", shard)):
        groups = seed.image_like or (seed.image_sha256,)
        yield _Picture(shard * rows_of_shard + number, seed.image_sha256, seed.image_phash, groups)
