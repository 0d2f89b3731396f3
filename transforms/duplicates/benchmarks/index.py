"""The index of benchmarks: built from their rows, saved without pickle, and asked about seeds, pages and crops.

On disk it is a folder: `index.json` (what it holds), `rows.jsonl` (a row a line), `grey.npy` and `tint.npy` (small
pictures). Everything else is made of these when it is opened: a second for 10,000 rows.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from PIL import Image

from gog.schemas import Seed
from gog.transforms.duplicates.benchmarks.images import ImageIndex, ImageMatch
from gog.transforms.duplicates.benchmarks.questions import QuestionIndex, TextMatch
from gog.transforms.duplicates.benchmarks.settings import OverlapSettings
from gog.transforms.duplicates.fingerprints import SIDE, TINT_SIDE, Small, Thumbs, thumbnail
from gog.transforms.images import ImageError, ImageLimits, load_image, sha256_hex
from gog.transforms.services.search.index_folder import IndexFolderError, building, read_head, write_head
from gog.transforms.verify.normalise import normalise

WARNINGS: Final = "benchmark_warnings"
"""Key of a seed's warnings in `Seed.extra`: `{"entity": "livevqa 12", "answer": "fvqa 7"}`."""

_KIND: Final = "benchmark"
_FORMAT: Final = 1
_LIMITS: Final = ImageLimits(min_side=1)
_SHORT_ANSWER: Final = 3


class BenchmarkRow(NamedTuple):
    """What decontamination needs of a benchmark's row. `image` is the file's bytes, None when there is none."""

    benchmark: str
    item_id: str
    question: str
    answers: tuple[str, ...] = ()
    entity: str = ""
    image: bytes | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """A hit: the benchmark's row, and why."""

    row: BenchmarkRow
    image: ImageMatch | None = None
    text: TextMatch | None = None
    more: int = 0
    """Further rows with the same image or question."""

    @property
    def detail(self) -> str:
        """One line for a reject."""
        why = [f"image: {self.image.how}"] if self.image else []
        why += [f"question: {self.text.how}"] if self.text else []
        more = f" (and {self.more} more row{'s' if self.more > 1 else ''})" if self.more else ""
        return f"{_named(self.row)}{more}: {'; '.join(why)}"


class Coverage(NamedTuple):
    """How many rows of a benchmark can be found by what: by image, by question whatever the image, by neither."""

    benchmark: str
    rows: int
    by_image: int
    by_question: int
    by_neither: int


class BenchmarkIndex:
    """Rows of benchmarks, to be found again in seeds, pages and crops."""

    def __init__(
        self, rows: Sequence[BenchmarkRow], places: Sequence[int], images: ImageIndex, settings: OverlapSettings
    ) -> None:
        """`places[i]` is row i's number in `images`, -1 where it has no readable image; rows hold no bytes."""
        self.rows, self._places, self._settings = tuple(rows), tuple(places), settings
        self.images = images
        self._rows_of_image: dict[int, list[int]] = defaultdict(list)
        for number, place in enumerate(places):
            if place >= 0:
                self._rows_of_image[place].append(number)
        self._rows_of_question: dict[str, list[int]] = defaultdict(list)
        self._entities: dict[str, int] = {}
        self._answers: dict[str, int] = {}
        for number, row in enumerate(rows):
            self._rows_of_question[row.question].append(number)
            if row.entity:
                self._entities.setdefault(normalise(row.entity), number)
            for answer in row.answers:
                self._answers.setdefault(normalise(answer), number)
        self._asked = tuple(self._rows_of_question)
        self.questions = QuestionIndex(self._asked, settings)

    @classmethod
    def build(cls, rows: Iterable[BenchmarkRow], settings: OverlapSettings | None = None) -> Self:
        """Index rows; an image that several rows share is kept once, one that cannot be read not at all."""
        kept, places, smalls = [], [], list[Small]()
        by_hash: dict[str, int] = {}
        for row in rows:
            place = -1
            if row.image is not None:
                key = sha256_hex(row.image)
                if key not in by_hash:
                    by_hash[key] = -1
                    if (small := _small(row.image)) is not None:
                        by_hash[key] = len(smalls)
                        smalls.append(small)
                place = by_hash[key]
            kept.append(row._replace(image=None))
            places.append(place)
        grey = np.array([small.grey for small in smalls], dtype=np.uint8).reshape(-1, SIDE, SIDE)
        tint = np.array([small.tint for small in smalls], dtype=np.uint8).reshape(-1, TINT_SIDE, TINT_SIDE, 2)
        return cls(kept, places, ImageIndex(grey, tint), settings or OverlapSettings())

    def coverage(self) -> list[Coverage]:
        """How the rows of each benchmark can be found."""
        alone = {asked for number, asked in enumerate(self._asked) if self.questions.stands_alone(number)}
        coverage: dict[str, Coverage] = {}
        for row, place in zip(self.rows, self._places, strict=True):
            before = coverage.get(row.benchmark, Coverage(row.benchmark, 0, 0, 0, 0))
            pictured, worded = place >= 0, row.question in alone
            coverage[row.benchmark] = Coverage(
                row.benchmark,
                before.rows + 1,
                before.by_image + pictured,
                before.by_question + worded,
                before.by_neither + (not pictured and not worded),
            )
        return list(coverage.values())

    def save(self, folder: Path) -> None:
        """Write the index; an earlier one is replaced. Raises `IndexUnwrittenError`."""
        with building(folder) as fresh:
            np.save(fresh / "grey.npy", self.images.grey, allow_pickle=False)
            np.save(fresh / "tint.npy", self.images.tint, allow_pickle=False)
            with (fresh / "rows.jsonl").open("w", encoding="utf-8") as file:
                for row, place in zip(self.rows, self._places, strict=True):
                    line = [row.benchmark, row.item_id, row.question, list(row.answers), row.entity, place]
                    file.write(json.dumps(line, ensure_ascii=True) + "\n")
            counts = {"rows": len(self.rows), "images": len(self.images)}
            write_head(fresh, _KIND, {"format": _FORMAT, **counts})

    @classmethod
    def open(cls, folder: Path, settings: OverlapSettings | None = None) -> Self:
        """Open a saved index. Raises `IndexFolderError`."""
        head = read_head(folder, _KIND)
        if head.get("format") != _FORMAT:
            raise IndexFolderError(f"{folder} was made by another version: make the index of benchmarks anew")
        try:
            grey = _loaded(folder / "grey.npy", (SIDE, SIDE))
            tint = _loaded(folder / "tint.npy", (TINT_SIDE, TINT_SIDE, 2))
            if len(grey) != len(tint):
                raise ValueError(f"{len(grey)} grey pictures, {len(tint)} with colours")
            rows, places = [], []
            with (folder / "rows.jsonl").open(encoding="utf-8") as file:
                for line in file:
                    benchmark, item_id, question, answers, entity, place = json.loads(line)
                    if not isinstance(place, int) or not -1 <= place < len(grey):
                        raise ValueError("a row names a picture that is not there")
                    rows.append(BenchmarkRow(str(benchmark), str(item_id), str(question), tuple(map(str, answers)),
                                             str(entity)))  # fmt: skip
                    places.append(place)
            if len(rows) != head.get("rows"):
                raise ValueError(f"{len(rows)} rows, {head.get('rows')} expected")
        except (OSError, ValueError, TypeError) as error:
            raise IndexFolderError(f"{folder} is damaged ({error}): make the index of benchmarks anew") from error
        return cls(rows, places, ImageIndex(grey, tint), settings or OverlapSettings())

    def check(self, question: str, images: Sequence[Image.Image]) -> Overlap | None:
        """The overlap of a seed, or None: one of its images, a question that stands alone, or both together."""
        texts = {self._asked[match.question]: match for match in self.questions.find(question)}
        weak = min(self._settings.image, self._settings.image_with_question)
        least = weak if texts else self._settings.image
        for match in (match for image in images for match in self.images.find(image, least)):
            numbers = self._rows_of_image[match.image]
            both = [number for number in numbers if self.rows[number].question in texts]
            if both or match.score >= self._settings.image:
                row = self.rows[(both or numbers)[0]]
                return Overlap(row, match, texts.get(row.question), len(numbers) - 1)
        for asked, text in texts.items():
            if text.alone:
                return self._by_text(asked, text)
        return None

    def check_image(self, image: Image.Image) -> Overlap | None:
        """The overlap of a crop or a thumbnail."""
        for match in self.images.find(image, self._settings.image):
            numbers = self._rows_of_image[match.image]
            return Overlap(self.rows[numbers[0]], match, None, len(numbers) - 1)
        return None

    def check_text(self, text: str) -> Overlap | None:
        """The overlap of a page that quotes a question which stands alone."""
        for match in self.questions.find_in(text):
            return self._by_text(self._asked[match.question], match)
        return None

    def _by_text(self, asked: str, text: TextMatch) -> Overlap:
        numbers = self._rows_of_question[asked]
        return Overlap(self.rows[numbers[0]], None, text, len(numbers) - 1)

    def warnings(self, seed: Seed) -> dict[str, str]:
        """Rows that have the seed's entity or answer: no reason to leave, but worth counting."""
        warnings = {}
        if seed.entity and (number := self._entities.get(normalise(seed.entity))) is not None:
            warnings["entity"] = _named(self.rows[number])
        for answer in map(normalise, seed.answers):
            # Yes, no and small numbers are in every benchmark and say nothing.
            if len(answer) >= _SHORT_ANSWER and not answer.isdigit() and answer in self._answers:
                warnings.setdefault("answer", _named(self.rows[self._answers[answer]]))
        return warnings


def _small(data: bytes) -> Small | None:
    try:
        return thumbnail(load_image(data, _LIMITS).image)
    except ImageError:
        return None


def _loaded(path: Path, shape: tuple[int, ...]) -> Thumbs:
    arrays = np.load(path, allow_pickle=False)
    if not isinstance(arrays, np.ndarray) or arrays.dtype != np.uint8 or arrays.shape[1:] != shape:
        raise ValueError(f"{path.name} holds no small pictures")
    return arrays


def _named(row: BenchmarkRow) -> str:
    return f"{row.benchmark} {row.item_id[:100]}"
