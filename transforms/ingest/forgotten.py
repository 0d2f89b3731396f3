"""What was forgotten (`gog forget`) and is not taken in again."""

from dataclasses import dataclass

from gog.schemas import Reject
from gog.transforms.images import sha256_hex
from gog.transforms.ingest.seeds import Ingested, reject_row
from gog.transforms.sources.mapping import SourceRow


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Seeds by id, images by sha256, ids of the source by the sha256 of their text."""

    seeds: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()


NOTHING_LEFT_OUT = LeftOut()


def check_forgotten(row: SourceRow, ingested: Ingested, left_out: LeftOut) -> Ingested | Reject:
    """The seed, or the reject of one that was forgotten; nothing of the row is in it but its number."""
    seed = ingested.seed
    source = "" if ingested.source_id is None else sha256_hex(ingested.source_id.encode())
    if (
        seed.seed_id in left_out.seeds
        or not left_out.images.isdisjoint(seed.image_hashes)
        or source in left_out.sources
    ):
        reject = reject_row(row, "ingest.forgotten", "forgotten on request", seed.seed_id)
        return reject.model_copy(update={"payload": ""})
    return ingested
