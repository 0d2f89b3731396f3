"""Decontamination at its two places in the engine: seeds at ingest, and at curate what their episodes brought in."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from gog.schemas import Reject, Trajectory
from gog.transforms.curate.select import Candidate
from gog.transforms.duplicates.benchmarks.index import WARNINGS, BenchmarkIndex, Overlap
from gog.transforms.episode.tool import question_images
from gog.transforms.image_store import ImageStore, open_image
from gog.transforms.images import ImageError
from gog.transforms.ingest.seeds import Ingested, reject_row
from gog.transforms.sources.mapping import SourceRow

AT_INGEST: Final = "ingest.benchmark_overlap"
AT_CURATE: Final = "curate.benchmark_overlap"


def check_seed(row: SourceRow, ingested: Ingested, benchmarks: BenchmarkIndex) -> Ingested | Reject:
    """The seed, with its warnings in `extra` where it has any, or the reject that names the benchmark's row.

    `ingested` has its pictures.
    """
    seed = ingested.seed
    overlap = benchmarks.check(seed.question, [picture.image for picture in ingested.pictures])
    if overlap is not None:
        return reject_row(row, AT_INGEST, overlap.detail, seed.seed_id)
    warned = benchmarks.warnings(seed)
    if not warned:
        return ingested
    return replace(ingested, seed=seed.model_copy(update={"extra": seed.extra | {WARNINGS: warned}}))


def check_trajectories(
    verified: Sequence[Candidate], images: ImageStore, benchmarks: BenchmarkIndex
) -> tuple[list[Candidate], list[Reject]]:
    """The trajectories that brought in nothing of a benchmark, and rejects for the others.

    The seed's own image and question were checked at ingest; new are crops, thumbnails of search results, and the
    text that tools returned. Images are looked at once each.
    """
    seen: dict[str, Overlap | None] = {}
    clean, rejects = [], []
    for candidate in verified:
        overlap = next(_overlaps(candidate.trajectory, images, benchmarks, seen), None)
        if overlap is None:
            clean.append(candidate)
        else:
            what, row = overlap
            rejects.append(candidate.reject(AT_CURATE, f"{what}: {row.detail}"))
    return clean, rejects


def _overlaps(
    trajectory: Trajectory, images: ImageStore, benchmarks: BenchmarkIndex, seen: dict[str, Overlap | None]
) -> Iterator[tuple[str, Overlap]]:
    asked_about = {image.sha256 for image in question_images(trajectory.images)}
    crops = {image.sha256 for image in trajectory.images if image.origin is None}
    for message in trajectory.messages:
        if message.role != "tool":
            continue
        for sha256 in message.images:
            if sha256 in asked_about:
                continue
            if sha256 not in seen:
                seen[sha256] = _check_stored(sha256, images, benchmarks)
            if (overlap := seen[sha256]) is not None:
                yield f"{'crop' if sha256 in crops else 'picture of a search result'} {sha256[:12]}", overlap
        if (overlap := benchmarks.check_text(message.text)) is not None:
            yield "text of a search result", overlap


def _check_stored(sha256: str, images: ImageStore, benchmarks: BenchmarkIndex) -> Overlap | None:
    try:
        return benchmarks.check_image(open_image(images, sha256))
    except ImageError:
        return None  # a search result's picture that nobody can decode, a model neither
