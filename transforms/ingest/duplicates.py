"""What ingest has read before: exact duplicates, ids given twice, near-copies of image and question."""

from dataclasses import dataclass, field

from gog.schemas import Reject, Seed
from gog.transforms.duplicates.near import NearDuplicates
from gog.transforms.duplicates.pictures import Pictures
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.seeds import Ingested, reject_row, source_id_of
from gog.transforms.sources.mapping import SourceRow


@dataclass(slots=True)
class Duplicates:
    """What was read before, over all shards of a run. Rows must come in the order of the source.

    `pictures` may be None: then only exact duplicates are found. Ids are kept as 64-bit numbers: about 70 MB for a
    million of them.
    """

    pictures: Pictures | None = None
    _near: NearDuplicates = field(default_factory=NearDuplicates)
    _known: set[int] = field(default_factory=set)
    _groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each picture: the first pictures of the groups of alike ones that it is in, itself where it is a first."""

    def check(self, row: SourceRow, ingested: Ingested) -> Seed | Reject:
        """The reject of a duplicate; else the seed, which is then known, with what its picture is like."""
        seed = ingested.seed
        if _seed_key(seed) in self._known:
            return reject_row(row, "ingest.duplicate", f"the same as {seed.seed_id}", seed.seed_id)
        if ingested.source_id is not None and _source_key(seed.dataset, ingested.source_id) in self._known:
            detail = f"the id {ingested.source_id[:200]!r} was given to another row before"
            return reject_row(row, "ingest.duplicate", detail, seed.seed_id)
        if self.pictures is not None:
            groups = self._groups_of(seed, ingested, self.pictures)
            earlier = self._near.add_or_find(seed.seed_id, groups, seed.question, seed.answers)
            if earlier is not None:
                return reject_row(row, "ingest.near_duplicate", f"image and question are near {earlier}", seed.seed_id)
            seed = seed.model_copy(update={"image_like": tuple(name for name in groups if name != seed.image_sha256)})
            if seed.image_sha256 not in self._groups:
                self._groups[seed.image_sha256] = groups
                self.pictures.add(seed.image_sha256, seed.image_phash, ingested.small)
        self._add(seed, ingested.source_id)
        return seed

    def _groups_of(self, seed: Seed, ingested: Ingested, pictures: Pictures) -> tuple[str, ...]:
        known = self._groups.get(seed.image_sha256)
        if known is not None or ingested.small is None:
            return known or (seed.image_sha256,)
        like = pictures.like(seed.image_sha256, seed.image_phash, ingested.small)
        return tuple(dict.fromkeys(name for other in like for name in self._groups[other])) or (seed.image_sha256,)

    def add_known(self, seed: Seed) -> None:
        """Know a seed of a finished shard, as it stands in the lake; for a run that goes on."""
        self._add(seed, source_id_of(seed) or None)
        if self.pictures is not None:
            groups = seed.image_like or (seed.image_sha256,)
            self._near.add_or_find(seed.seed_id, groups, seed.question, seed.answers)
            if seed.image_sha256 not in self._groups:
                self._groups[seed.image_sha256] = groups
                self.pictures.add(seed.image_sha256, seed.image_phash)

    def _add(self, seed: Seed, source_id: str | None) -> None:
        self._known.add(_seed_key(seed))
        if source_id is not None:
            self._known.add(_source_key(seed.dataset, source_id))


def _seed_key(seed: Seed) -> int:
    return int(seed.seed_id.removeprefix("seed-"), 16)


def _source_key(dataset: str, source_id: str) -> int:
    return int(sha256_hex(f"{dataset}\0{source_id}".encode())[:16], 16)
