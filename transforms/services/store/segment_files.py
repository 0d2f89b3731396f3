"""Segments: immutable files of entries and events, as workers append them to a store that many share.

A segment is gzipped text, a line an item, and names the sections it is made of. A worker's segment is one section;
a compacted one carries the sections of many, so that whoever has read one of them does not count it twice.

    gog-segment 1
    s 1767225600000-a1b2c3d4e5f6-000001       a section: when (ms since 1970), worker, number
    a {"key": ..., "request": ..., ...}       an entry
    e {"run": ..., "event": {...}}            an event

Its file is called after its first section and its own hash, so that damage shows.
"""

import gzip
import re
import secrets
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gog.schemas import Event
from gog.transforms.services.store.jsonl import LineError, digest, entry_line, event_line, read_entry, read_event
from gog.transforms.services.store.places import Files
from gog.transforms.services.store.records import Dated
from gog.transforms.services.store.schema import StoreError

FOLDER: Final = "segments"
HEAD: Final = "gog-segment 1"
LONGEST: Final = 1 << 28
"""Bytes that a segment may unpack to."""
COMPACTED: Final = 1 << 25
"""Characters of requests that a compacted segment holds, about."""
_SECTION: Final = r"\d{13}-[0-9a-f]{12}-\d{6}"
_NAME: Final = re.compile(rf"({_SECTION})-([0-9a-f]{{16}})\.seg")


@dataclass(slots=True)
class SegmentSection:
    """What one worker wrote at once."""

    name: str
    entries: list[Dated] = field(default_factory=list)
    events: list[tuple[str, Event]] = field(default_factory=list)
    """Each with its run."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """Segments before and after."""

    before: int
    after: int


def section_name(when: float, worker: str, number: int) -> str:
    """Name of a section; `when` in seconds since 1970, `worker` 12 hex digits."""
    return f"{int(when * 1000):013d}-{worker}-{number:06d}"


def new_worker() -> str:
    """A name for a worker that no other has."""
    return secrets.token_hex(6)


def encode(sections: Sequence[SegmentSection], name: str = "") -> tuple[str, bytes]:
    """File name and content of a segment; called after its first section unless given another's name."""
    lines = [HEAD]
    for section in sections:
        lines.append(f"s {section.name}")
        lines += [f"a {entry_line(dated)}" for dated in section.entries]
        lines += [f"e {event_line(run, event)}" for run, event in section.events]
    data = gzip.compress("\n".join(lines).encode() + b"\n", 6, mtime=0)
    return f"{name or sections[0].name}-{digest(data)[:16]}.seg", data


def decode(name: str, data: bytes) -> list[SegmentSection]:
    """The sections of a segment. Raises `LineError`, which says what is wrong."""
    named = _NAME.fullmatch(name)
    if named is None:
        raise LineError("not a segment of this store")
    if digest(data)[:16] != named[2]:
        raise LineError("its content is not what was written")
    unzip = zlib.decompressobj(wbits=31)
    try:
        text = unzip.decompress(data, LONGEST)
    except zlib.error as error:
        raise LineError(f"it cannot be unpacked: {error}") from None
    if not unzip.eof:
        raise LineError("it is cut off, or longer than any segment")
    lines = text.split(b"\n")
    if lines[0] != HEAD.encode():
        raise LineError(f"it does not begin with {HEAD!r}: a newer version wrote it, or it is something else")
    return _sections(lines[1:])


def _sections(lines: Sequence[bytes]) -> list[SegmentSection]:
    sections: list[SegmentSection] = []
    for number, line in enumerate(lines, 2):
        tag, _, rest = line.partition(b" ")
        try:
            if not line:
                continue
            if tag == b"s":
                sections.append(SegmentSection(_section_of(rest)))
            elif tag == b"a" and sections:
                sections[-1].entries.append(read_entry(rest))
            elif tag == b"e" and sections:
                sections[-1].events.append(read_event(rest))
            else:
                raise LineError("no section, entry or event")
        except LineError as error:
            raise LineError(f"line {number}: {error}") from None
    return sections


def _section_of(name: bytes) -> str:
    text = name.decode("ascii", "replace")
    if not re.fullmatch(_SECTION, text):
        raise LineError("a section without a proper name")
    return text


def read_segment(files: Files, name: str) -> list[SegmentSection]:
    """The sections of a file. Raises `FileNotFoundError`, and `StoreError` where it is damaged or foreign."""
    data = files.read(FOLDER, name)
    try:
        return decode(name, data)
    except LineError as error:
        raise StoreError(
            f"{files.place}/{FOLDER}/{name}: {error}; restore a copy, or move it away: what only it holds "
            "is then asked again"
        ) from None


def segment_problems(files: Files) -> Iterator[tuple[str, str]]:
    """Names of segments that cannot be read, and why."""
    for name in files.names(FOLDER):
        try:
            decode(name, files.read(FOLDER, name))
        except FileNotFoundError:
            continue  # compacted just now
        except (LineError, OSError) as error:
            yield name, str(error)


def compact(
    files: Files, *, keys: Collection[str] = (), runs: Collection[str] = (), most: int = COMPACTED
) -> Compacted:
    """Make few segments of many, without the entries under `keys` and the events of `runs` and their parts.

    Safe beside workers that read and append: each new segment is there before those it replaces go, and sections tell
    what is the same. A kill in between leaves both, which the next compaction clears.
    """
    before, after = 0, 0
    group: list[str] = []
    sections: list[SegmentSection] = []
    size, changed = 0, False

    def write() -> None:
        nonlocal after
        after += bool(group)
        if len(group) < 2 and not changed:
            return
        first = sections[0].name.partition("-")[0]
        name, data = encode(_first_wins(sections), f"{first}-{new_worker()}-000000")
        files.publish(FOLDER, name, data)
        files.remove(FOLDER, group)

    seen: set[str] = set()
    for name in files.names(FOLDER):
        try:
            segment = read_segment(files, name)
        except FileNotFoundError:
            continue
        before += 1
        for section in segment:
            if section.name in seen:  # what a killed compaction left twice
                changed = True
                continue
            seen.add(section.name)
            kept = _without(section, keys, runs)
            changed |= kept is not section
            sections.append(kept)
        group.append(name)
        size += sum(len(dated.entry.request) for section in segment for dated in section.entries)
        if size >= most:
            write()
            group, sections, size, changed = [], [], 0, False
    if sections:
        write()
    return Compacted(before, after)


def _without(section: SegmentSection, keys: Collection[str], runs: Collection[str]) -> SegmentSection:
    entries = [dated for dated in section.entries if dated.entry.key not in keys]
    events = [(run, event) for run, event in section.events if run.partition("/")[0] not in runs]
    if len(entries) == len(section.entries) and len(events) == len(section.events):
        return section
    return SegmentSection(section.name, entries, events)


def _first_wins(sections: Sequence[SegmentSection]) -> list[SegmentSection]:
    """The sections without entries that others of them beat, as they would in the order in which they are read."""
    best: dict[str, tuple[int, Dated]] = {}
    for index, section in enumerate(sections):
        for dated in section.entries:
            held = best.get(dated.entry.key)
            if held is None or beats(dated, held[1]):
                best[dated.entry.key] = (index, dated)
    return [
        SegmentSection(
            section.name,
            [dated for dated in section.entries if best[dated.entry.key] == (index, dated)],
            section.events,
        )
        for index, section in enumerate(sections)
    ]


def beats(new: Dated, held: Dated) -> bool:
    """Whether a later entry takes the place of an earlier one: failures give way, answers that were bought anew too."""
    return held.entry.kept.failure is not None or held.created < new.over
