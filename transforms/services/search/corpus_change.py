"""Pages that come to a corpus, and that leave it: what is there is written anew, and the index has another version.

No text of what stays is read or encoded again. An index that was added to has the bytes of one that was built of the
same pages in the same order, but for cells of vectors (`vector_cells`); where pages left, words may have other numbers.
What is found is the same.
"""

import hashlib
import json
import shutil
from collections.abc import Container, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gog.transforms.object_path import ObjectPath
from gog.transforms.services.search.corpus import FORMAT, build_corpus, finish_corpus
from gog.transforms.services.search.counted_blocks import LINES
from gog.transforms.services.search.encoders_of import named_encoder
from gog.transforms.services.search.excerpts import UNSPACED
from gog.transforms.services.search.gallery_change import Added
from gog.transforms.services.search.index_bucket import read_manifest
from gog.transforms.services.search.index_cache import cached, changed, drop_cached
from gog.transforms.services.search.index_folder import IndexFolderError, check_head, held, read_head, replacing
from gog.transforms.services.search.index_parts import Staying, copy_spans, merged_origin
from gog.transforms.services.search.passage_blocks import Page
from gog.transforms.services.search.passage_vectors import KEY, merge_vectors
from gog.transforms.services.search.vector_cells import cells_in
from gog.transforms.services.search.word_merge import merge_words


@dataclass(slots=True)
class _Content:
    """All passages under an address."""

    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    """Of their lines and, with an encoder, of what it read."""
    bare: bool = True
    """Whether they are their title alone."""
    passages: list[int] = field(default_factory=list)

    def stays_beside(self, come: "_Content") -> bool:
        """Whether what comes under the address says no more: it is the same, or a title where there is a text."""
        return self.digest.digest() == come.digest.digest() or (come.bare and not self.bare)


def add_pages(folder: Path, pages: Iterable[Page]) -> Added:
    """Add pages (url, title, text) to the index in a folder, which is whole before and after.

    What is added under an address takes the place of all that was there under it, but a title alone of no text. Counts
    are of addresses, `total` of pages. Raises `IndexFolderError`, `IndexUnwrittenError`, and `ServiceError` where the
    encoder fails.
    """
    with held(folder):
        head, fresh = _head(folder), folder.with_name(f".{folder.name}.added")
        encoder = named_encoder(folder, head)
        report = build_corpus(pages, fresh, name=str(head["name"]), encoder=encoder, known=folder)
        check_head(folder, "corpus", head)
        come = _contents(fresh, None)
        there = _contents(folder, come.keys())
        same = {address for address, found in there.items() if found.stays_beside(come[address])}
        old = _without(folder, int(head["passages"]), there, there.keys() - same)
        new = _without(fresh, report.passages, come, same)
        if new.stays.any():
            head = _merged(folder, head, [old, new])
        shutil.rmtree(fresh)
    return Added(
        new=len(come) - len(there),
        changed=len(there) - len(same),
        same=len(same),
        total=int(head["pages"]),
        skipped=report.skipped,
        cells=cells_in(head),
    )


def remove_pages(folder: Path, addresses: Set[str]) -> int:
    """Take pages out of an index, which is whole before and after; returns how many left.

    Raises `IndexFolderError`, `IndexUnwrittenError`, and `OSError` where a file cannot be read.
    """
    with held(folder):
        head = read_head(folder, "corpus")
        leaving = np.array([entry["url"] in addresses for entry in _entries(folder)], np.bool_)
        if not leaving.any():
            return 0
        after = _merged(folder, _head(folder), [Staying(folder, ~leaving)])
    return int(head["pages"]) - int(after["pages"])


def addresses_in(folder: Path, among: Set[str]) -> set[str]:
    """Which of some addresses the index has pages of. Raises `IndexFolderError`."""
    read_head(folder, "corpus")
    return {entry["url"] for entry in _entries(folder) if entry["url"] in among}


def pages_in(folder: Path, sha256s: Set[str]) -> set[str]:
    """Addresses that the index has pages of, of those with one of the hashes; one on an object store is fetched.

    Raises `IndexFolderError`, also where they could not leave it, and `OSError`.
    """
    if isinstance(folder, ObjectPath):
        folder = cached(folder.parent, folder.name)
    read_head(folder, "corpus")
    there = {address for address in {entry["url"] for entry in _entries(folder)} if _sha256(address) in sha256s}
    if there:
        _head(folder)
    return there


def forget_pages(folder: Path, sha256s: Set[str]) -> int:
    """`remove_pages` by hashes of addresses. Of an index on an object store nothing stays on this machine either."""
    leaving = pages_in(folder, sha256s)
    if not isinstance(folder, ObjectPath):
        return remove_pages(folder, leaving)
    content = read_manifest(folder.parent, folder.name).content
    if not leaving:
        return 0
    with changed(folder.parent, (folder.name,), (folder.name,)) as work:
        left = remove_pages(work / folder.name, leaving)
    drop_cached(content)
    return left


def _sha256(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def told_in(folder: Path, keys: Set[str]) -> set[str]:
    """Which of some addresses, and titles in small letters, are those of a page that has a text. Raises
    `IndexFolderError`.
    """
    read_head(folder, "corpus")
    told: set[str] = set()
    for entry in _entries(folder) if keys else ():
        if entry["text"] != entry["title"]:
            told |= {entry["url"], entry["title"].casefold()} & keys
    return told


def _head(folder: Path) -> dict[str, Any]:
    """Raises `IndexFolderError` where the index is not one that can be changed."""
    head = read_head(folder, "corpus")
    if head.get("format") != FORMAT or not (folder / "counts.npy").is_file():
        raise IndexFolderError(f"{folder} was built before pages could be added to it, or leave it: build it anew")
    return head


def _merged(folder: Path, head: dict[str, Any], parts: list[Staying]) -> dict[str, Any]:
    """Write what stays of the parts, of which the first is the index in the folder; returns the new head."""
    digest = hashlib.sha256(FORMAT.encode())
    with replacing(folder, "corpus", head) as fresh:
        sizes = []
        with (fresh / LINES).open("wb") as lines:

            def write(data: bytes) -> None:
                lines.write(data)
                digest.update(data)

            for part in parts:
                rows = part.load("rows")[part.stays]
                copy_spans(part.folder / LINES, rows[:, 0], rows[:, 1], write)
                sizes.append(rows[:, 1].astype(np.int32))
        merge_words(parts, fresh)
        vectors = merge_vectors(parts, fresh, head, merged_origin(parts)) if "embedder" in head else {}
        pages = [_page_sizes(part) for part in parts]
        paired = any(_is_paired(part) for part in parts)
        return finish_corpus(fresh, str(head["name"]), digest, sizes, pages, paired=paired, vectors=vectors)


def _page_sizes(part: Staying) -> NDArray[np.int32]:
    sizes: NDArray[np.int32] = np.array(part.load("page_sizes"))
    stay: NDArray[np.int32] = sizes[part.stays[np.cumsum(sizes) - sizes]]
    return stay


def _is_paired(part: Staying) -> bool:
    """Whether a passage that stays has letters that are taken in pairs."""
    if not read_head(part.folder, "corpus").get("paired"):
        return False
    entries = zip(_entries(part.folder), part.stays.tolist(), strict=True)
    return bool(part.stays.all()) or any(stays and UNSPACED.search(entry["text"]) for entry, stays in entries)


def _contents(folder: Path, among: Container[str] | None) -> dict[str, _Content]:
    """What the index has under some addresses, or under all."""
    path, found = folder / "keys.bin", dict[str, _Content]()
    keys = path.read_bytes() if path.is_file() else b""
    for number, (line, entry) in enumerate(_lines(folder)):
        address = entry["url"]
        if among is None or address in among:
            content = found.setdefault(address, _Content())
            content.digest.update(line + keys[KEY * number : KEY * (number + 1)])
            content.bare = content.bare and entry["text"] == entry["title"]
            content.passages.append(number)
    return found


def _without(folder: Path, passages: int, contents: dict[str, _Content], addresses: Iterable[str]) -> Staying:
    """The index but for what it has under some addresses."""
    stays = np.ones(passages, np.bool_)
    for address in addresses:
        stays[contents[address].passages] = False
    return Staying(folder, stays)


def _entries(folder: Path) -> Iterator[dict[str, str]]:
    return (entry for _, entry in _lines(folder))


def _lines(folder: Path) -> Iterator[tuple[bytes, dict[str, str]]]:
    with (folder / LINES).open("rb") as file:
        for line in file:
            yield line, json.loads(line)
