"""Seals a world: writes the folder that `sealed_world` reads, whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from gog.transforms.image_store import ImageStore
from gog.transforms.images import image_suffix
from gog.transforms.services.provider import Opening
from gog.transforms.services.providers import ENCODERS, open_service, provider_at
from gog.transforms.services.search.encoders_of import address_in
from gog.transforms.services.search.index_folder import building, clean, read_head, write_head
from gog.transforms.services.search.sealed_world import (
    ENTRIES,
    FORMAT,
    HEAD,
    IMAGES,
    INDEX,
    KEY,
    KEYS,
    ROWS,
    VERSION,
    WorldError,
)
from gog.transforms.services.store.cassette import thumbnails
from gog.transforms.services.store.jsonl import entry_line
from gog.transforms.services.store.records import Dated, Entry

INDEXES: Final = {"text_search": "corpus", "image_search": "gallery"}
"""Kinds of calls that an index answers, and its folder."""
TOOL: Final = "tool"
_ENCODERS: Final = "encoders"


@dataclass(frozen=True, slots=True)
class Asked:
    """A service that rollouts ask: its id, and the folder of its index where it is a local one."""

    id: str
    index: Path | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is in a world."""

    id: str
    answers: Mapping[str, int]
    """By kind of call."""
    others: int
    """Answers that other services had given, which stay out."""
    images: int
    missing: int
    """Pictures that answers name and nobody has."""
    indexes: Mapping[str, int]
    """By kind: passages or pictures that answer whatever was not asked before."""
    by_name: tuple[str, ...]
    """Encoders that are not in it, and are loaded by their name."""
    left_out: Mapping[str, str]
    """Kinds whose index could not come along, with the address of its encoder."""
    bytes: int


def seal_world(
    folder: Path, name: str, asked: Mapping[str, Asked], entries: Iterable[Dated], images: ImageStore
) -> Sealed:
    """Write the world of services (by kind of call) that answered the entries; those of other services stay out.

    The first entry under a key counts. Raises `WorldError` where the folder is there already or an index cannot be
    copied, and `IndexUnwrittenError` where the disk fails.
    """
    if folder.exists():
        raise WorldError(f"{folder} is there already, and a world is never changed: name another")
    with building(folder, replace=False) as fresh:
        counts, others, wanted, digest = _write_answers(fresh, asked, entries)
        missing = _write_pictures(fresh / IMAGES, wanted, images)
        indexes, by_name, left_out = dict[str, int](), list[str](), dict[str, str]()
        for kind, service in asked.items():
            if service.index is None:
                continue
            head, lacks = _copy_index(service.index, INDEXES[kind], fresh)
            if head is None:
                left_out[kind] = lacks
                continue
            indexes[kind] = int(head.get("passages", head.get("pictures", 0)))
            by_name += [lacks] if lacks else []
            digest.update(f"{kind} {head['version']}".encode())
        files = {
            path.relative_to(fresh).as_posix(): path.stat().st_size
            for path in sorted(fresh.rglob("*"))
            if path.is_file() and path.relative_to(fresh).parts[0] != IMAGES
        }
        world = f"world:{clean(name, 80)}@{digest.hexdigest()[:12]}"
        services = {kind: service.id for kind, service in asked.items()}
        told = {"format": FORMAT, "version": VERSION, "id": world, "services": services, "files": files}
        (fresh / HEAD).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        size = sum(path.stat().st_size for path in fresh.rglob("*") if path.is_file())
    there = len(wanted) - missing
    return Sealed(world, counts, others, there, missing, indexes, tuple(dict.fromkeys(by_name)), left_out, size)


def _write_answers(fresh: Path, asked: Mapping[str, Asked], entries: Iterable[Dated]) -> tuple[Any, ...]:
    """Counts by kind, those of others, the pictures that are named, and a hash of all."""
    rows, wanted, others = dict[str, tuple[int, int, str]](), set[str](), 0
    counts, at = dict.fromkeys((*asked, TOOL), 0), 0
    with (fresh / ENTRIES).open("wb") as file:
        for dated in entries:
            entry = dated.entry
            known = entry.kind == TOOL or _is_asked(entry, asked)
            if entry.key in rows or not known:
                others += not known
                continue
            line = entry_line(dated).encode() + b"\n"
            rows[entry.key] = (at, len(line), hashlib.sha256(line).hexdigest())
            at += file.write(line)
            wanted |= thumbnails(dated)
            counts[entry.kind] += 1
    order, digest = sorted(rows), hashlib.sha256()
    for key in order:
        digest.update(f"{key} {rows[key][2]}\n".encode())
    keys = b"".join(map(bytes.fromhex, order))
    assert len(keys) == KEY * len(order)
    (fresh / KEYS).write_bytes(keys)
    np.save(fresh / ROWS, np.array([rows[key][:2] for key in order], np.int64).reshape(-1, 2))
    return counts, others, wanted, digest


def _is_asked(entry: Entry, asked: Mapping[str, Asked]) -> bool:
    """Whether one of the services gave an answer: an image search may answer words, too."""
    kinds = (entry.kind, "image_search") if entry.kind == "text_search" else (entry.kind,)
    return entry.kind in asked and entry.provider in [asked[kind].id for kind in kinds if kind in asked]


def _write_pictures(folder: Path, wanted: Iterable[str], images: ImageStore) -> int:
    """Write those that are there; returns how many are not."""
    missing = 0
    for sha256 in sorted(wanted):
        try:
            data = images.read(sha256)
        except KeyError:
            missing += 1
            continue
        path = folder / sha256[:2] / f"{sha256}.{image_suffix(data)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return missing


def _copy_index(source: Path, kind: str, fresh: Path) -> tuple[dict[str, Any] | None, str]:
    """The head of the copy, and the encoder that it lacks; no head where without that encoder it would be none."""
    head, target = read_head(source, kind), fresh / INDEX / kind
    address = address_in(source, head)
    lacks = ""
    if address is not None:
        provider = provider_at(ENCODERS, address)
        if provider.files is None:
            return None, address
        path = Path(address.partition(":")[2])
        files = provider.files(path)
        if files is None:
            lacks = address
        else:
            made = str(head["embedder"])
            # By what it is: two indexes with one encoder have one copy, which a process loads once.
            home = fresh / _ENCODERS / hashlib.sha256(made.encode()).hexdigest()[:12]
            if not home.exists():
                for name, file in files.items():
                    (home / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, home / name)
                _check_copy(f"{provider.name}:{home / path.name}", made, address)
            head |= {"encoder": f"{provider.name}:../../{_ENCODERS}/{home.name}/{path.name}"}
    target.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            shutil.copyfile(file, target / file.name)
    if read_head(target, kind)["version"] != head["version"]:
        raise WorldError(f"{source} was replaced while it was copied: do it again")
    write_head(target, kind, head)
    return head, lacks


def _check_copy(address: str, made: str, source: str) -> None:
    """Raise `WorldError` where the copy of an encoder is not what the index was made with."""
    copied = open_service(ENCODERS, Opening(address)).id
    if copied != made:
        raise WorldError(f"the index was made with {made}, and {source} is {copied}: build it anew, then seal")
