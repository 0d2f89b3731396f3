"""What people say, on disk: `RUN/reviews/journal.jsonl`, and the table `RUN/reviews/part-review-00000.parquet`.

A review is a line of the journal, on the disk before it counts as saved: a killed process loses none. `compact` moves
the lines into the table, where DuckDB and exports read them. Several processes may write to one run: each appends and
compacts under a lock on a file; on an object store, where nothing can be appended, each writes journal and table whole,
and only over what it has read. Audits are kept in the same way, in `RUN/audits`.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Generic

from gog.pipelines.lake.disk import disk_advice, disk_errors
from gog.pipelines.lake.lake import Lake, LakeError, write_atomic
from gog.pipelines.lake.one_line import one_line
from gog.pipelines.lake.reviews import Word, latest
from gog.pipelines.lake.signature import signature_of
from gog.schemas import TABLES, Audit, CorrectedBox, Decision, Outcome, Review, Why, canonical_json, content_id
from gog.schemas.rows import SchemaError, check_row, from_row, to_row
from gog.transforms.object_path import ABSENT, ObjectPath
from gog.transforms.part_file import encode_part

_TABLE_OF: Final = {record: table for table, record in TABLES.items()}
JOURNAL: Final = "journal.jsonl"
LONGEST_NAME: Final = 60
LONGEST_COMMENT: Final = 4000
"""Characters."""
LONGEST_ANSWER: Final = 300
"""Characters of a corrected answer."""
MOST_BOXES: Final = 64
"""Corrected boxes of one review."""


def reviewer_name(text: str) -> str:
    """The name as it is kept: one line. `ValueError` when nothing is left, or it is too long."""
    name = one_line(text)
    if not name or len(name) > LONGEST_NAME:
        raise ValueError(f"a reviewer has a name of 1 to {LONGEST_NAME} characters")
    if not is_text(name):
        raise ValueError("a reviewer's name is text: it has half of a character in it")
    return name


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold it: JSON can write halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Book(Generic[Word]):
    """What people said of a run, in one table. Not for several threads at once; reads nothing until asked."""

    def __init__(self, lake: Lake, run: str, record: type[Word]) -> None:
        self._record: type[Word] = record
        self._table = _TABLE_OF[record]
        self._passing = lake.images.passing
        self._folder = lake.table_folder(run, self._table)
        self._part = lake.part_path(run, self._table, self._table.removesuffix("s"), 0)
        self._journal = self._folder / JOURNAL
        self._lake, self._run = lake, run
        self._seen: int | None = None
        self._latest: dict[str, dict[str, Word]] = {}

    def refresh(self) -> bool:
        """Read again if anybody wrote since; whether that was so. Raises `LakeError` and `SchemaError`."""
        # The table comes second: what is moved meanwhile is then seen twice, and counts once, rather than not at all.
        seen = self._signature()
        if seen == self._seen:
            return False
        words, _ = self._read_journal()
        words += self._lake.read_table(self._run, self._table, self._record)
        self._latest = latest(words)
        self._seen = seen
        return True

    @property
    def latest(self) -> Mapping[str, Mapping[str, Word]]:
        """The words that count, as of the last `refresh`, by trajectory and reviewer."""
        return self._latest

    def compact(self) -> int:
        """Move the journal's lines into the table; returns how many. Raises `LakeError` and `SchemaError`."""
        if not _size(self._journal):
            return 0
        with self._locked():
            self.refresh()
            tags = _tag(self._part), _tag(self._journal)
            fresh, unread = self._read_journal()
            if not fresh:
                return 0
            kept = [*self._lake.read_table(self._run, self._table, self._record), *fresh]
            data = encode_part(self._table, [to_row(word) for word in kept])
            # Lines that nobody can read stay where a person can look at them.
            left = b"".join(line + b"\n" for line in unread)
            for path, content, tag in zip((self._part, self._journal), (data, left), tags, strict=True):
                if isinstance(path, ObjectPath):
                    try:
                        path.write(content, tag)
                    except FileExistsError:
                        return 0  # another has written: the next time takes both
                else:
                    write_atomic(path, content, passing=self._passing)
            self._seen = self._signature()
        return len(fresh)

    def _next(self, trajectory_id: str, reviewer: str) -> int:
        """Number of the reviewer's next word on a trajectory."""
        before = self._latest.get(trajectory_id, {}).get(reviewer)
        return before.number + 1 if before else 1

    def _keep(self, *words: Word) -> None:
        """Write words down, under the lock and fresh; they are on the disk when this returns."""
        _append(self._journal, "\n".join(canonical_json(to_row(word)) for word in words))
        fresh = dict(self._latest)
        for word in words:
            beside = {**fresh.get(word.trajectory_id, {}), word.reviewer: word}
            fresh[word.trajectory_id] = dict(sorted(beside.items()))
        self._latest = fresh
        self._seen = self._signature()

    def _read_journal(self) -> tuple[list[Word], list[bytes]]:
        """Its words, and the lines that are none: what a process was writing when it was killed."""
        words: list[Word] = []
        unread: list[bytes] = []
        try:
            lines: Sequence[bytes] = self._journal.read_bytes().split(b"\n")
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise LakeError(f"cannot read {self._journal}: {error.strerror}") from error
        for line in filter(None, lines):
            try:
                # Of an older version a line lacks what has been added since.
                word = from_row(self._record, json.loads(line))
                check_row(self._table, to_row(word))
                words.append(word)
            except (ValueError, RecursionError, AttributeError, SchemaError):
                unread.append(line)
        return words, unread

    def _signature(self) -> int:
        return signature_of([self._journal, *self._lake.parts(self._run, self._table)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, in any process on this file system; anybody, where writing asks what is there."""
        if isinstance(self._folder, ObjectPath):
            yield
            return
        import fcntl  # not on Windows, where only this fails

        path = self._folder / "lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._passing.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LakeError(f"cannot write {path}: {disk_advice(error) or error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


class ReviewBook(Book[Review]):
    """The reviews of a run."""

    def __init__(self, lake: Lake, run: str) -> None:
        super().__init__(lake, run, Review)

    def add(
        self,
        trajectory_id: str,
        seed_id: str,
        reviewer: str,
        *,
        decision: Decision | None,
        boxes: Sequence[CorrectedBox],
        comment: str,
        why: Why | None = None,
        answer: str | None = None,
    ) -> Review:
        """Keep a review, which takes the place of the reviewer's last one; it is on the disk when this returns.

        Raises `LakeError` when it cannot be kept, `ValueError` when it is larger than a review may be.
        """
        if len(comment) > LONGEST_COMMENT or len(boxes) > MOST_BOXES or len(answer or "") > LONGEST_ANSWER:
            raise ValueError(
                f"a review has at most {LONGEST_COMMENT} characters, {MOST_BOXES} boxes "
                f"and an answer of {LONGEST_ANSWER} characters"
            )
        reviewer = reviewer_name(reviewer)
        with self._locked():
            self.refresh()
            review = Review(
                review_id="",
                trajectory_id=trajectory_id,
                seed_id=seed_id,
                reviewer=reviewer,
                number=self._next(trajectory_id, reviewer),
                decision=decision,
                why=why if decision is Decision.REJECT else None,
                boxes=tuple(sorted(boxes, key=lambda box: (box.turn, box.call))),
                answer=answer,
                comment=comment,
                made=round(time.time(), 3),
            )
            review = _named(review)
            self._keep(review)
        return review

    def accept_all(self, ids: Mapping[str, str], reviewer: str) -> int:
        """Accept in bulk what nobody has decided on, of trajectories with their seeds; returns how many."""
        reviewer = reviewer_name(reviewer)

        def accepted(trajectory_id: str, seed_id: str) -> Review | None:
            by = self._latest.get(trajectory_id, {})
            if any(review.decision is not None for review in by.values()):
                return None
            before = by.get(reviewer) or Review(
                review_id="", trajectory_id=trajectory_id, seed_id=seed_id, reviewer=reviewer, number=1, made=0
            )
            return before.model_copy(update={"decision": Decision.ACCEPT, "bulk": True})

        return self._change_all(reviewer, lambda: [accepted(*each) for each in ids.items()])

    def take_back_all(self, reviewer: str) -> int:
        """Take back what the reviewer accepted in bulk; returns how many."""
        reviewer = reviewer_name(reviewer)

        def taken_back(review: Review | None) -> Review | None:
            return review.model_copy(update={"decision": None, "bulk": False}) if review and review.bulk else None

        return self._change_all(reviewer, lambda: [taken_back(by.get(reviewer)) for by in self._latest.values()])

    def _change_all(self, reviewer: str, changed: Callable[[], Iterable[Review | None]]) -> int:
        """Keep changed reviews of one person, all in one write."""
        with self._locked():
            self.refresh()
            now = round(time.time(), 3)
            reviews = [
                _named(review.model_copy(update={"number": self._next(review.trajectory_id, reviewer), "made": now}))
                for review in changed()
                if review is not None
            ]
            if reviews:
                self._keep(*reviews)
        return len(reviews)


def _named(review: Review) -> Review:
    unnamed = review.model_copy(update={"review_id": ""})
    return unnamed.model_copy(update={"review_id": content_id("review", to_row(unnamed))})


class AuditBook(Book[Audit]):
    """The audits of a run."""

    def __init__(self, lake: Lake, run: str) -> None:
        super().__init__(lake, run, Audit)

    def add(self, trajectory_id: str, seed_id: str, reviewer: str, outcome: Outcome) -> Audit:
        """Keep a word, which takes the place of the reviewer's last one; it is on the disk when this returns.

        Raises `LakeError` when it cannot be kept.
        """
        reviewer = reviewer_name(reviewer)
        with self._locked():
            self.refresh()
            audit = Audit(
                trajectory_id=trajectory_id,
                seed_id=seed_id,
                reviewer=reviewer,
                number=self._next(trajectory_id, reviewer),
                outcome=outcome,
                made=round(time.time(), 3),
            )
            self._keep(audit)
        return audit


def read_reviews(lake: Lake, run: str) -> Mapping[str, Mapping[str, Review]]:
    """The reviews of a run that count, by trajectory and reviewer; those still in the journal are moved first."""
    return _read(ReviewBook(lake, run))


def read_audits(lake: Lake, run: str) -> Mapping[str, Mapping[str, Audit]]:
    """The audits of a run that count, as `read_reviews`."""
    return _read(AuditBook(lake, run))


def _read(book: Book[Word]) -> Mapping[str, Mapping[str, Word]]:
    with suppress(LakeError):  # a lake that is read-only can be read
        book.compact()
    book.refresh()
    return book.latest


def _append(path: Path, line: str) -> None:
    """A whole line at the end, on the disk when this returns; a torn one before it stays alone."""
    if isinstance(path, ObjectPath):
        with disk_errors(path, "write"):
            _append_object(path, line)
        return
    try:
        with path.open("a+b") as file:
            torn = file.tell() > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LakeError(f"cannot write {path}: {disk_advice(error) or error.strerror}") from error


def _append_object(path: ObjectPath, line: str) -> None:
    while True:
        try:
            before, stat = path.read_tagged()
            tag = stat.tag
        except FileNotFoundError:
            before, tag = b"", ABSENT
        with suppress(FileExistsError):  # another was faster: once more
            path.write(before + line.encode() + b"\n", tag)
            return


def _tag(path: Path) -> str:
    """What an object is written over; nothing of files, which have a lock."""
    if not isinstance(path, ObjectPath):
        return ""
    try:
        return path.stat().tag
    except FileNotFoundError:
        return ABSENT


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
