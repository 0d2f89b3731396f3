"""The benchmarks of a config as an index in the lake: made once, opened once a process."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gog.pipelines.config.config import Config, ConfigError
from gog.pipelines.lake.lake import Lake
from gog.schemas import canonical_json
from gog.transforms.duplicates.benchmarks.index import BenchmarkIndex, BenchmarkRow
from gog.transforms.duplicates.benchmarks.settings import Against, DecontaminateSettings
from gog.transforms.evaluate.items import BenchItem, BenchmarkError
from gog.transforms.services.loop import shared
from gog.transforms.sources.formats import SourceError, find_files

_LAYOUT = 1
"""Raise it when thumbnails or rows of the index are made in another way."""


def benchmarks_of(config: Config) -> Callable[[], BenchmarkIndex] | None:
    """What opens the index of the config's benchmarks, picklable; None when there are none to keep apart from.

    The index is made where the lake has none of these files. Raises `ConfigError` when a benchmark cannot be read.
    """
    settings = config.decontaminate
    if not settings.against:
        return None
    folder = Lake(config.lake).indexes / f"benchmarks-{_signature(settings)}"
    if not folder.exists():
        BenchmarkIndex.build(row for against in settings.against for row in rows_of(against)).save(folder)
    return partial(open_benchmarks, str(folder), settings.model_dump_json())


def open_benchmarks(folder: str, settings_json: str) -> BenchmarkIndex:
    """The process's index of a folder; opened on the first call, shared afterwards."""
    settings = DecontaminateSettings.model_validate_json(settings_json)
    return shared(("benchmarks", folder, settings_json), lambda: BenchmarkIndex.open(Path(folder), settings))


def rows_of(against: Against) -> Iterator[BenchmarkRow]:
    """The rows of a benchmark. Raises `ConfigError` when there is no such benchmark, or its files are not as published.

    Rows that the adapter drops (without an answer, say) are not evaluated on, and not looked for.
    """
    from gog.transforms.evaluate.benchmark import BENCHMARKS  # workers open what is made
    from gog.transforms.evaluate.loading import load_benchmark

    name = against.benchmark
    splits = BENCHMARKS[name].splits if name in BENCHMARKS else ()
    split = against.split or ("all" if "all" in splits else "")
    try:
        for item in load_benchmark(name, against.path, split, pictures=against.pictures):
            if isinstance(item, BenchItem):
                yield BenchmarkRow(name, item.item_id, item.question, item.answers, item.entity, item.image)
    except BenchmarkError as error:
        raise ConfigError(f"decontaminate.against: {error}") from error


def _signature(settings: DecontaminateSettings) -> str:
    """16 hex digits that change when a benchmark's files do: their names, sizes and times of change."""
    listed = [[against.model_dump(), list(_files(against.path))] for against in settings.against]
    return hashlib.sha256(canonical_json([_LAYOUT, listed]).encode()).hexdigest()[:16]


def _files(path: str) -> Iterator[list[str | int]]:
    if not path:
        return
    if Path(path).is_dir():
        folder, names = Path(path), sorted(file.relative_to(path).as_posix() for file in Path(path).rglob("*"))
    else:
        try:
            folder, files = find_files(path)
        except SourceError as error:
            raise ConfigError(f"decontaminate.against: {error}") from error
        names = list(files)
    for name in names:
        status = (folder / name).stat()
        yield [name, status.st_size, status.st_mtime_ns]
