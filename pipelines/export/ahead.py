"""Whether the pictures of an export's rows are there, asked ahead: an object store answers many at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from gog.pipelines.lake.lake import LakeError
from gog.schemas import Reject, Unit
from gog.transforms.export.rows import RL_STAGE, SFT_STAGE, Reading, RlRow, SftRow
from gog.transforms.image_store import ImageStore

AT_ONCE: Final = 32
"""Pictures that an object store is asked for at once, and rows that wait for them."""


def with_pictures(readings: Iterable[Reading], is_there: Callable[[str], bool], at_once: int = 0) -> Iterator[Reading]:
    """The readings, in their order; the reject of a row where one of its pictures is not there.

    `is_there` is asked for so many pictures at once, in threads; with none, in this one.
    """
    if not at_once:
        for name, outcome in readings:
            yield name, _whole(outcome, {sha256: is_there(sha256) for sha256 in _pictures(outcome)})
        return
    waiting: deque[tuple[Reading, dict[str, Future[bool]]]] = deque()

    def first() -> Reading:
        (name, outcome), asked = waiting.popleft()
        return name, _whole(outcome, {sha256: answer.result() for sha256, answer in asked.items()})

    with ThreadPoolExecutor(at_once, "gog-picture") as threads:
        try:
            for reading in readings:
                waiting.append((reading, {name: threads.submit(is_there, name) for name in _pictures(reading[1])}))
                if len(waiting) > at_once:
                    yield first()
            while waiting:
                yield first()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def fetched(images: ImageStore, sha256: str) -> bool:
    """Whether the picture is there; if so, it is in the cache of an object store from then on.

    One that is damaged is there: whoever reads it next says so.
    """
    try:
        images.read(sha256)
    except KeyError:
        return False
    except LakeError:
        return True
    return True


def _pictures(outcome: SftRow | RlRow | Reject) -> Iterable[str]:
    return () if isinstance(outcome, Reject) else dict.fromkeys(outcome.image_sha256)


def _whole(outcome: SftRow | RlRow | Reject, there: dict[str, bool]) -> SftRow | RlRow | Reject:
    missing = next((sha256 for sha256, found in there.items() if not found), None)
    if missing is None or isinstance(outcome, Reject):
        return outcome
    stage, unit = (SFT_STAGE, Unit.TRAJECTORY) if isinstance(outcome, SftRow) else (RL_STAGE, Unit.SEED)
    detail = f"the image {missing} is not in the lake"
    return Reject.of(stage, unit, outcome.id, "export.image_missing", detail=detail, seed_id=outcome.seed_id)
