"""What ingest has read before: exact duplicates, ids given twice, near-copies of image and question."""

from dataclasses import dataclass, field

from gog.schemas import Reject, Seed
from gog.transforms.duplicates.near import NearDuplicates
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.seeds import Ingested, reject_row, source_id_of
from gog.transforms.sources.mapping import SourceRow


@dataclass(slots=True)
class Duplicates:
    """What was read before, over all shards of a run. Rows must come in the order of the source.

    `near` may be None: then only exact duplicates are found. Ids are kept as 64-bit numbers: about 70 MB for a
    million of them.
    """

    near: NearDuplicates | None = None
    _known: set[int] = field(default_factory=set)

    def check(self, row: SourceRow, ingested: Ingested) -> Reject | None:
        """The reject of a duplicate; None for a new seed, which is then known."""
        seed = ingested.seed
        if _seed_key(seed) in self._known:
            return reject_row(row, "ingest.duplicate", f"the same as {seed.seed_id}", seed.seed_id)
        if ingested.source_id is not None and _source_key(seed.dataset, ingested.source_id) in self._known:
            detail = f"the id {ingested.source_id[:200]!r} was given to another row before"
            return reject_row(row, "ingest.duplicate", detail, seed.seed_id)
        if self.near is not None:
            earlier = self.near.add_or_find(seed.seed_id, seed.image_phash, seed.question)
            if earlier is not None:
                return reject_row(row, "ingest.near_duplicate", f"image and question are near {earlier}", seed.seed_id)
        self._add(seed, ingested.source_id)
        return None

    def add_known(self, seed: Seed) -> None:
        """Know a seed of a finished shard, as it stands in the lake; for a run that goes on."""
        self._add(seed, source_id_of(seed) or None)
        if self.near is not None:
            self.near.add_or_find(seed.seed_id, seed.image_phash, seed.question)

    def _add(self, seed: Seed, source_id: str | None) -> None:
        self._known.add(_seed_key(seed))
        if source_id is not None:
            self._known.add(_source_key(seed.dataset, source_id))


def _seed_key(seed: Seed) -> int:
    return int(seed.seed_id.removeprefix("seed-"), 16)


def _source_key(dataset: str, source_id: str) -> int:
    return int(sha256_hex(f"{dataset}\0{source_id}".encode())[:16], 16)
