"""What ingest has read before: exact duplicates, ids given twice, near-copies of image and question."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gog.schemas import Reject, Seed
from gog.transforms.duplicates.near import NearDuplicates
from gog.transforms.duplicates.window import Shown
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.seeds import Ingested, reject_row, source_id_of
from gog.transforms.sources.mapping import SourceRow


@dataclass(slots=True)
class Duplicates:
    """What was read before, over all shards of a run. Rows must come in the order of the source.

    Ids and pictures are kept as 64-bit numbers: about 70 MB for a million of them.
    """

    _near: NearDuplicates = field(default_factory=NearDuplicates)
    _known: set[int] = field(default_factory=set)
    _shown: set[int] = field(default_factory=set)
    """All pictures."""
    _groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a picture: the first pictures of the groups of alike ones that it is in, unless that is itself alone."""

    def new_pictures(self, rows: Iterable[tuple[int, Ingested]]) -> list[Shown]:
        """The pictures of rows, by place, that no row before showed."""
        new: dict[str, Shown] = {}
        for place, ingested in rows:
            sha256 = ingested.seed.image_sha256
            if _picture_key(sha256) not in self._shown and sha256 not in new:
                new[sha256] = shown(place, ingested)
        return list(new.values())

    def learn(self, sha256: str, like: Iterable[str]) -> tuple[str, ...]:
        """Know of a picture which earlier ones it is like; returns the first ones of its groups, or itself."""
        self.add_picture(sha256, dict.fromkeys(name for other in like for name in self._groups_of(other)))
        return self._groups_of(sha256)

    def check(self, row: SourceRow, ingested: Ingested) -> Seed | Reject:
        """The reject of a duplicate; else the seed, which is then known, with what its picture is like."""
        seed = ingested.seed
        if _seed_key(seed) in self._known:
            return reject_row(row, "ingest.duplicate", f"the same as {seed.seed_id}", seed.seed_id)
        if ingested.source_id is not None and source_key(seed.dataset, ingested.source_id) in self._known:
            detail = f"the id {ingested.source_id[:200]!r} was given to another row before"
            return reject_row(row, "ingest.duplicate", detail, seed.seed_id)
        groups = self.learn(seed.image_sha256, ())
        earlier = self._near.add_or_find(seed.seed_id, _names(seed, groups), seed.question, seed.answers)
        if earlier is not None:
            return reject_row(row, "ingest.near_duplicate", f"image and question are near {earlier}", seed.seed_id)
        self._add(seed, ingested.source_id)
        return seed.model_copy(update={"image_like": tuple(name for name in groups if name != seed.image_sha256)})

    def add_known(self, seed: Seed) -> None:
        """Know a seed of a finished shard, as it stands in the lake; for a run that goes on."""
        self._add(seed, source_id_of(seed) or None)
        groups = seed.image_like or (seed.image_sha256,)
        self._near.add_or_find(seed.seed_id, _names(seed, groups), seed.question, seed.answers)
        self.add_picture(seed.image_sha256, groups)

    def add_picture(self, sha256: str, groups: Iterable[str]) -> None:
        """Know a picture with its groups, whether or not a seed has it; the first that is said of it counts."""
        key, groups = _picture_key(sha256), tuple(groups)
        if key not in self._shown:
            self._shown.add(key)
            if groups not in ((), (sha256,)):
                self._groups[sha256] = groups

    def _groups_of(self, sha256: str) -> tuple[str, ...]:
        return self._groups.get(sha256, (sha256,))

    def _add(self, seed: Seed, source_id: str | None) -> None:
        self._known.add(_seed_key(seed))
        if source_id is not None:
            self._known.add(source_key(seed.dataset, source_id))


def shown(place: int, ingested: Ingested) -> Shown:
    """The picture of the row at a place."""
    seed = ingested.seed
    return Shown(place, seed.image_sha256, int(seed.image_phash, 16), ingested.small)


def _names(seed: Seed, groups: tuple[str, ...]) -> tuple[str, ...]:
    """By what a seed's picture is found again: of a question about several, the others are the very same as well."""
    others = "".join(f" {image.sha256}" for image in seed.further_images)
    return tuple(f"{name}{others}" for name in groups) if others else groups


def _picture_key(sha256: str) -> int:
    return int(sha256[:16], 16)


def _seed_key(seed: Seed) -> int:
    return int(seed.seed_id.removeprefix("seed-"), 16)


def source_key(dataset: str, source_id: str) -> int:
    """An id of the source as a number."""
    return int(sha256_hex(f"{dataset}\0{source_id}".encode())[:16], 16)
