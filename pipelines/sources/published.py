"""Published sets as sources of seeds: their files, read by the adapters that evaluation uses too."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gog.pipelines.config.sources import PublishedSource
from gog.pipelines.sources.files import FileRows, ShardSpec, first_rows
from gog.transforms.evaluate.benchmark import BENCHMARKS
from gog.transforms.evaluate.beside import BesideById
from gog.transforms.evaluate.loading import kind_of_file
from gog.transforms.evaluate.questions import SEED_MAPPING, require
from gog.transforms.images import ImageLimits
from gog.transforms.sources.mapping import FieldMapping, SourceRow
from gog.transforms.sources.picture_files import LocalImages
from gog.transforms.sources.row_images import ReadImage


class PublishedRows:
    """The questions of a published set: `per_row` of every row, each with the row's own columns beside its own."""

    def __init__(self, settings: PublishedSource, shard_rows: int) -> None:
        """`SourceError` when there is no such file, `MappingError` when it has other columns than published."""
        self._set, path = BENCHMARKS[settings.kind].set_at(settings.path)
        self._rows = FileRows(path, kind_of_file(path), max(1, shard_rows // self._set.per_row))
        self.folder = self._rows.folder
        self._beside = BesideById(Path(settings.with_kb)) if settings.with_kb else None
        what = f"{self._set.name} ({self._set.source})"
        require(first_rows(self._rows), self._set.needs, settings.path, what)

    def images(self, place: str | None, limits: ImageLimits) -> ReadImage | None:
        """Reads the pictures in files: at a place, where the rows do not name them; None where there is none."""
        if self._set.pictures:
            return self._set.pictures(place, limits) if place else None
        return LocalImages(self.folder, limits)

    @property
    def mapping(self) -> FieldMapping:
        """What turns the questions into seeds."""
        licence = {"licence": self._set.licence} if self._set.licence else {}
        return SEED_MAPPING.model_copy(update={"image_text": self._set.image_text, "constants": licence})

    def shards(self) -> Iterator[ShardSpec]:
        """All shards, in order."""
        for spec in self._rows.shards():
            yield spec.model_copy(update={"rows": spec.rows * self._set.per_row})

    def read_shard(self, spec: ShardSpec) -> Iterator[SourceRow]:
        """The questions of a shard; a row that cannot be read counts as all of its questions."""
        inner = spec.model_copy(update={"rows": spec.rows // self._set.per_row})
        for row in self._rows.read_shard(inner):
            yield from self._questions(row, spec.file)

    def signature(self) -> str:
        """Changes when the files do."""
        return self._rows.signature()

    def _questions(self, row: SourceRow, file: str) -> Iterator[SourceRow]:
        many = self._set.per_row > 1
        names = [f"{row.row_id}.{n}" if many else row.row_id for n in range(1, self._set.per_row + 1)]
        if row.error:
            yield from (SourceRow(name, row.data, row.error) for name in names)
            return
        data: Mapping[str, Any] = row.data
        if self._beside is not None:
            data = {**self._beside(str(data.get("data_id", ""))), **data}
        for name, question in zip(names, self._set.adapt(file, data), strict=True):
            yield SourceRow(name, {**data, **question.columns()})
