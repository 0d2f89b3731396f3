"""The samples of a WebDataset tar as pictures and pages: a picture, `json` (title, text, url) and `txt` beside it.

Headers are gone over, and a member is read when it is wanted: memory does not grow with the file, but by some bytes a
sample, of which no key stands there twice.
"""

import json
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

from gog.pipelines.tools.texts import Skipped, Text
from gog.transforms.images import ImageLimits
from gog.transforms.sources.formats import SourceError
from gog.transforms.sources.tar_format import IMAGES, Member, key_of, tar_members

MAX_TEXT: Final = 4 << 20
"""Bytes of a text beside a picture."""
_MOST_MEMBERS: Final = 50
_LONGEST_NAME: Final = 1000
_TEXT_ENDINGS: Final = ("txt", "text", "caption")
_NAMES: Final = ("title", "text", "url")
_Wanted = tuple[Member | None, Member | None, Member | None]
"""Picture, JSON and text of a sample."""


@dataclass(slots=True)
class _Sample:
    key: str
    members: dict[str, Member] = field(default_factory=dict)
    wrong: str = ""

    def take(self, ending: str, member: Member) -> None:
        if ending in self.members:
            self.wrong = self.wrong or f"it has two {ending!r}"
        elif len(self.members) == _MOST_MEMBERS:
            self.wrong = self.wrong or f"it has more than {_MOST_MEMBERS} files"
        else:
            self.members[ending] = member


class TarSamples:
    """The samples of one file."""

    def __init__(self, path: Path, where: str) -> None:
        """`where` names it."""
        self._path, self._where, self._limits = path, where, ImageLimits()

    def pages(self, skipped: Skipped) -> Iterator[Text]:
        """All samples with a title or a text; what cannot be read of the others, too, goes into `skipped`."""
        try:
            with self._path.open("rb") as file:
                for sample in self._samples(file):
                    try:
                        yield self._text(file, sample)
                    except ValueError as error:
                        skipped.append((f"{self._where}/{sample.key[:200]}", str(error)))
        except (SourceError, OSError) as error:
            skipped.append((self._where, f"the rest of it cannot be read: {error}"))

    def pictures(self) -> Iterator[tuple[Text, bytes]]:
        """All pictures of samples that are whole; the file's bytes are not looked at."""
        try:
            with self._path.open("rb") as file:
                for sample in self._samples(file):
                    try:
                        text, (picture, _, _) = self._text(file, sample), self._wanted(sample)
                    except ValueError:
                        continue  # `pages` tells
                    if picture:
                        yield text, _read(file, picture)
        except (SourceError, OSError):
            return  # the same

    def told(self, of: Set[str]) -> set[str]:
        """Which of some keys are those of a sample that has a text."""
        return {key for page in self.pages([]) if page.text for key in page.keys & of}

    def _samples(self, file: BinaryIO) -> Iterator[_Sample]:
        """Runs of members with one key. Raises `SourceError`, `OSError`."""
        sample: _Sample | None = None
        seen = set[bytes]()
        with self._path.open("rb") as headers:
            for member in tar_members(headers, self._path):
                key, ending = key_of(member.name)
                if not ending:
                    continue
                if sample is None or key != sample.key:
                    if sample is not None:
                        yield sample
                    sample, digest = _Sample(key), blake2b(key.encode("utf-8", "replace"), digest_size=12).digest()
                    if digest in seen:
                        sample.wrong = "its key stands there already"
                    seen.add(digest)
                sample.take(ending, member)
        if sample is not None:
            yield sample

    def _wanted(self, sample: _Sample) -> _Wanted:
        """Raises `ValueError` with what is wrong with the sample."""
        if sample.wrong:
            raise ValueError(sample.wrong)
        if len(sample.key) > _LONGEST_NAME or not sample.key.isprintable():
            raise ValueError("its key is no name")
        pictures = [member for ending, member in sample.members.items() if ending in IMAGES]
        texts = [sample.members[ending] for ending in _TEXT_ENDINGS if ending in sample.members]
        told = sample.members.get("json")
        if not pictures and not texts and told is None:
            raise ValueError(f"neither a picture nor a text: {', '.join(list(sample.members)[:5])[:100]}")
        for some, what in ((pictures, "pictures"), (texts, "texts")):
            if len(some) > 1:
                raise ValueError(f"it has {len(some)} {what}: which one is meant?")
        for member in (*texts, *([told] if told else [])):
            if member.size > MAX_TEXT:
                raise ValueError(f"{member.name[-100:]!r} has {member.size:,} bytes, limit {MAX_TEXT:,}")
        for member in pictures:
            if member.size > self._limits.max_bytes:
                raise ValueError(f"the picture has {member.size:,} bytes, limit {self._limits.max_bytes:,}")
        return next(iter(pictures), None), told, next(iter(texts), None)

    def _text(self, file: BinaryIO, sample: _Sample) -> Text:
        """Raises `ValueError`."""
        picture, told, caption = self._wanted(sample)
        said = _said(_read(file, told)) if told else dict.fromkeys(_NAMES, "")
        if caption and not said["text"]:
            said["text"] = _utf8(_read(file, caption)).strip()
        image = f"{self._where}/{picture.name}" if picture else ""
        return Text(f"{self._where}/{sample.key}", image, said["title"], said["text"], said["url"])


def _said(data: bytes) -> dict[str, str]:
    try:
        told: Any = json.loads(_utf8(data))
    except RecursionError:
        raise ValueError("its json is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"its json is none: {error.msg}") from None
    if not isinstance(told, dict):
        raise ValueError(f"its json is {type(told).__name__}, no object")
    told["text"] = told.get("text") or told.get("caption")
    for name in _NAMES:
        if told.get(name) is not None and not isinstance(told[name], str):
            raise ValueError(f"{name!r} holds {type(told[name]).__name__}, not text")
    return {name: (told.get(name) or "").strip() for name in _NAMES}


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from None


def _read(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(member.size)
