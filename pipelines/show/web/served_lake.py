"""A lake as the server reads and reviews it: lists of runs, their reviews, small pictures. Blocking; for threads."""

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError

from gog.pipelines.lake.lake import Lake, LakeError, Manifest
from gog.pipelines.lake.review_files import AuditBook, Book, ReviewBook
from gog.pipelines.show.trajectory import Records
from gog.pipelines.show.web.index import RunIndex
from gog.pipelines.show.web.listed import signature
from gog.pipelines.show.web.records import groups_of, open_reader, read_records
from gog.schemas import Audit, Decision, Outcome, Review
from gog.transforms.evaluate.audit import Group, draw
from gog.transforms.images import ImageError, decode_image
from gog.transforms.place import is_remote
from gog.transforms.recent import Recent
from gog.transforms.services.gateway.prices import Price

MOST_INDEXES: Final = 2
"""Runs whose lists are held in memory."""
LOOK_EVERY_S: Final = 3.0
"""How often the parts of a run are looked at for news; more seldom where reading them takes long."""
MOST_IMAGE: Final = 64 << 20
"""Longest picture file that is served, in bytes."""
THUMB: Final = 192
"""Longest side of a small picture."""
MOST_THUMBS: Final = 16 << 20
"""Bytes of small pictures that are kept."""
TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
"""Content types of pictures: the only ones that are ever served from a lake."""


class NotThereError(LookupError):
    """The lake has no such thing; the message is one line."""


class ServedLake:
    """One lake, for all requests."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._reader = open_reader(lake)
        self._indexes: OrderedDict[str, tuple[RunIndex, float]] = OrderedDict()
        self._making = threading.Lock()
        self._books: dict[str, ReviewBook] = {}
        self._audits: dict[str, AuditBook] = {}
        self._sample: tuple[tuple[str, int, int, int], dict[str, Group], list[str]] | None = None
        self._writing = threading.Lock()
        self._thumbs: Recent[str, bytes] = Recent(MOST_THUMBS, len)

    def runs(self) -> list[str]:
        """Names of the runs, sorted, without those that lead out of the lake."""
        return [run for run in self.lake.runs() if self._is_inside(run)]

    def check(self, run: str) -> None:
        """Raises `NotThereError` where the lake has no such run, or it leads out of the lake."""
        try:
            there = (self.lake.run_folder(run) / "manifest.json").is_file() and self._is_inside(run)
        except LakeError:
            there = False
        if not there:
            raise NotThereError(f"the lake has no run {run[:100]!r}")

    def manifest(self, run: str) -> Manifest | None:
        """The run's manifest; None where it is damaged."""
        try:
            return self.lake.read_manifest(run)
        except LakeError:
            return None

    def state(self, run: str) -> str:
        """What the run is at now, as `gog status` has it; `damaged` where its manifest is."""
        manifest = self.manifest(run)
        return self.lake.state(manifest) if manifest else "damaged"

    def prices(self, run: str) -> dict[str, Price]:
        """The prices that the run's config gives; those that are none are left out."""
        manifest = self.manifest(run)
        given: Any = manifest.config.get("prices") if manifest else None
        prices = {}
        for name, price in given.items() if isinstance(given, dict) else ():
            with suppress(ValidationError):
                prices[str(name)] = Price.model_validate(price)
        return prices

    def index(self, run: str) -> RunIndex:
        """The run's list with all reviews in it, as fresh as is cheap. Raises `NotThereError`."""
        with self._making:
            index = self._fresh_index(run)
        self._refresh_reviews(run, index)
        return index

    def reviews(self, run: str) -> Mapping[str, Mapping[str, Review]]:
        """The reviews of a run that count, by trajectory and reviewer."""
        with self._writing:
            return self._book(run).latest

    def records(self, run: str, trajectory_id: str) -> Records:
        """A trajectory with everything. Raises `NotThereError`."""
        place = self.index(run).place_of(trajectory_id)
        records = read_records(self._reader, self.lake, run, place, trajectory_id) if place else None
        if records is None:
            raise NotThereError(f"the run {run} has no trajectory {trajectory_id[:100]!r}")
        return records

    def add_review(
        self, run: str, trajectory_id: str, seed_id: str, reviewer: str, change: Mapping[str, Any]
    ) -> Mapping[str, Review]:
        """Change a reviewer's review (`decision`, `why`, `answer`, `comment`, `boxes` by key); returns all of them.

        What `change` does not name stays as it was; a box that is None is taken back.
        """
        with self._writing:
            book = self._book(run)
            known = book.latest
            before = known.get(trajectory_id, {}).get(reviewer)
            decision: Decision | None = before.decision if before else None
            boxes = {box.key: box for box in before.boxes} if before else {}
            if "decision" in change:
                decision = Decision(change["decision"]) if change["decision"] is not None else None
            for key, box in change.get("boxes", {}).items():
                boxes.pop(key, None)
                if box is not None:
                    boxes[key] = box
            values = {name: change.get(name, getattr(before, name, None)) for name in ("why", "answer")}
            comment = change.get("comment", before.comment if before else "")
            book.add(
                trajectory_id, seed_id, reviewer, decision=decision, boxes=[*boxes.values()], comment=comment, **values
            )
            index = self._indexes.get(run)
            if index and index[0].known is known:
                index[0].set_reviews(book.latest, trajectory_id)
            return dict(book.latest[trajectory_id])

    def accept_all(self, run: str, ids: Mapping[str, str], reviewer: str) -> int:
        """Accept these trajectories, given with their seeds, in bulk; returns how many nobody had decided on."""
        with self._writing:
            return self._book(run).accept_all(ids, reviewer)

    def take_back_all(self, run: str, reviewer: str) -> int:
        """Take back what a reviewer accepted in bulk; returns how many."""
        with self._writing:
            return self._book(run).take_back_all(reviewer)

    def sample(self, run: str, size: int, seed: int) -> tuple[dict[str, Group], list[str]]:
        """The verdicts of a run that can be audited, by trajectory, and the sample drawn of them."""
        self.check(run)
        key = run, signature(self.lake, run), size, seed
        if self._sample is None or self._sample[0] != key:
            groups = groups_of(self.lake, run)
            self._sample = key, groups, draw(groups, size, seed)
        return self._sample[1:]

    def audits(self, run: str) -> Mapping[str, Mapping[str, Audit]]:
        """The audits of a run that count, by trajectory and reviewer."""
        with self._writing:
            return self._audit_book(run).latest

    def add_audit(self, run: str, trajectory_id: str, seed_id: str, reviewer: str, outcome: Outcome) -> None:
        """Keep what a reviewer says of a verdict."""
        with self._writing:
            self._audit_book(run).add(trajectory_id, seed_id, reviewer, outcome)

    def compact(self) -> None:
        """Move journals into tables. A lake that cannot be written keeps its journals."""
        with self._writing:
            books: list[Book[Any]] = [*self._books.values(), *self._audits.values()]
            for book in books:
                try:
                    book.compact()
                except (LakeError, ValueError):
                    continue

    def picture(self, sha256: str) -> tuple[bytes, str]:
        """Bytes and content type of a picture. Raises `NotThereError` and `LakeError`."""
        try:
            path = self.lake.images.path(sha256)
            if path.stat().st_size > MOST_IMAGE:
                raise NotThereError(f"the image {sha256} is larger than {MOST_IMAGE >> 20} MB")
            # The content has this hash, wherever a link may lead.
            return self.lake.images.read(sha256), TYPES[path.suffix]
        except (KeyError, FileNotFoundError):
            raise NotThereError(f"the lake has no image {sha256[:64]!r}") from None

    def thumb(self, sha256: str) -> bytes:
        """A small JPEG of a picture. Raises `NotThereError` where there is none to see."""
        if (thumb := self._thumbs.get(sha256)) is not None:
            return thumb
        data, _ = self.picture(sha256)
        try:
            image = decode_image(data)
        except ImageError as error:
            raise NotThereError(error.detail) from error
        image.thumbnail((THUMB, THUMB))
        sink = io.BytesIO()
        image.save(sink, "JPEG", quality=80)
        return self._thumbs.put(sha256, sink.getvalue())

    def close(self) -> None:
        """Give the memory back."""
        with self._making:
            while self._indexes:
                self._indexes.popitem()[1][0].close()
        self._reader.close()

    def _is_inside(self, run: str) -> bool:
        folder, root = self.lake.run_folder(run), self.lake.root
        return is_remote(str(root)) or folder.resolve().is_relative_to(root.resolve())  # a link may lead elsewhere

    def _fresh_index(self, run: str) -> RunIndex:
        """The run's list; made anew when its parts are others."""
        self.check(run)
        if run in self._indexes:
            index, look_at = self._indexes[run]
            if time.monotonic() < look_at:
                self._indexes.move_to_end(run)
                return index
            if index.signature == signature(self.lake, run):
                self._indexes[run] = index, time.monotonic() + LOOK_EVERY_S
                self._indexes.move_to_end(run)
                return index
            # Not closed here: other threads may be asking it. Its memory goes when they are done.
            del self._indexes[run]
        while len(self._indexes) >= MOST_INDEXES:
            self._indexes.popitem(last=False)
        began = time.monotonic()
        index = RunIndex(self.lake, run)
        took = time.monotonic() - began
        self._indexes[run] = index, time.monotonic() + max(LOOK_EVERY_S, 20 * took)
        return index

    def _refresh_reviews(self, run: str, index: RunIndex) -> None:
        """Take in what other processes wrote."""
        with self._writing:
            book = self._book(run)
            if index.known is not book.latest:
                index.set_reviews(book.latest)

    def _audit_book(self, run: str) -> AuditBook:
        self.check(run)
        book = self._audits.setdefault(run, AuditBook(self.lake, run))
        book.refresh()
        return book

    def _book(self, run: str) -> ReviewBook:
        """The run's reviews as they are now."""
        self.check(run)
        book = self._books.setdefault(run, ReviewBook(self.lake, run))
        book.refresh()
        return book
