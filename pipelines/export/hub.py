"""Uploads an export to the Hugging Face hub, as a dataset: each kind in a folder of its own, one card over both.

A push adds and replaces its own files. It removes what the push of that kind before it wrote, which the manifest in
the repository lists, and nothing else.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gog.pipelines.export.joint_card import CardError, joint_card, unchanged
from gog.pipelines.lake.lake import LakeError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

KINDS: Final = ("rl", "sft")
CARD: Final = "README.md"
MANIFEST: Final = "manifest.json"
_NAMED: Final = 8
"""Files that are named, of each sort, before a push; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Push:
    """What a push does to a repository; paths are the repository's."""

    writes: Mapping[str, Path | bytes]
    removes: frozenset[str]
    there: frozenset[str]
    keeps_card: bool

    def told(self, repo: str) -> str:
        """The push, for people, before it happens."""
        sorts = {
            "adds": sorted(self.writes.keys() - self.there),
            "replaces": sorted(self.writes.keys() & self.there),
            "removes, of the push before": sorted(self.removes),
        }
        stay = len(self.there - self.writes.keys() - self.removes)
        lines = [f"  {sort} {len(paths):,}: {_some(paths)}" for sort, paths in sorts.items() if paths]
        card = (
            f"\n  {CARD} has been changed by hand and stays: its `configs` may need this export"
            if self.keeps_card
            else ""
        )
        return "\n".join([f"{repo}:", *lines, f"  leaves {stay:,} as they are"]) + card


def push_export(folder: Path, repo: str, tell: Callable[[str], None]) -> str:
    """Upload an export to the folder of its kind in the dataset `repo` (made, and private, where there is none).

    `tell` hears what is added, replaced and removed before it is. Returns the dataset's address. The token is the one
    of `hf auth login`, or in HF_TOKEN. Raises `LakeError`, also where a file that no push wrote is in the way.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    with _in_one_line(repo, folder):
        created = api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        there = _Repository.now(api, created.repo_id)
        push = _planned(folder, there)
        tell(push.told(created.repo_id))
        added = [
            CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
            for path, content in sorted(push.writes.items())
        ]
        api.create_commit(
            created.repo_id,
            [*added, *(CommitOperationDelete(path, is_folder=False) for path in sorted(push.removes))],
            commit_message=f"Glance-or-Gaze export {folder.parent.name}/{folder.name}",
            repo_type="dataset",
            parent_commit=there.revision,
        )
    return str(created)


@dataclass(frozen=True, slots=True)
class _Repository:
    """A dataset on the hub as it is at one commit."""

    api: "HfApi"
    name: str
    revision: str | None
    files: frozenset[str]

    @classmethod
    def now(cls, api: "HfApi", name: str) -> "_Repository":
        revision = api.repo_info(name, repo_type="dataset").sha
        return cls(api, name, revision, frozenset(api.list_repo_files(name, repo_type="dataset", revision=revision)))

    def read(self, path: str) -> bytes:
        return Path(self.api.hf_hub_download(self.name, path, repo_type="dataset", revision=self.revision)).read_bytes()

    def written(self, kind: str, prefix: str) -> dict[str, str]:
        """Files that a push of this kind wrote below `prefix` and that are there, with the hash where it is known."""
        if prefix + MANIFEST not in self.files:
            return {}
        try:
            manifest = json.loads(self.read(prefix + MANIFEST))
            if manifest["kind"] != kind:
                return {}
            splits = {file["name"]: file["sha256"] for split in manifest["splits"].values() for file in split["files"]}
            listed = {MANIFEST: ""} | splits | manifest["other_files"]
            return {prefix + name: str(hashed) for name, hashed in listed.items() if prefix + name in self.files}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}  # not of our writing


def _planned(folder: Path, there: _Repository) -> Push:
    """What a push of the folder would do. Raises `LakeError` where a file that no push wrote is in the way."""
    kind = json.loads((folder / MANIFEST).read_bytes())["kind"]
    writes: dict[str, Path | bytes] = {
        f"{kind}/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if _sent(path, folder)
    }
    # An export was once pushed to the repository's root.
    wrote = there.written(kind, f"{kind}/") | (at_root := there.written(kind, ""))
    if foreign := sorted((writes.keys() & there.files) - wrote.keys()):
        raise LakeError(
            f"{there.name} has {_some(foreign)}, which no push of {kind} wrote: move it there, or name another dataset"
        )
    cards = {kind: (folder / CARD).read_text("utf-8")}
    for other in KINDS:
        if other != kind and f"{other}/{CARD}" in there.written(other, f"{other}/"):
            cards[other] = there.read(f"{other}/{CARD}").decode(errors="replace")
    ours = _is_ours(there, at_root)
    if ours:
        writes[CARD] = _joint(there.name, cards)
    removes = wrote.keys() - writes.keys() - {CARD}
    return Push(writes, frozenset(removes), there.files, keeps_card=not ours)


def _joint(repo: str, cards: Mapping[str, str]) -> bytes:
    try:
        return joint_card(repo, cards).encode()
    except CardError as error:
        raise LakeError(
            f"{repo}: the card of {' or '.join(cards)} cannot be read ({error}): export and push it again"
        ) from error


def _is_ours(there: _Repository, at_root: Mapping[str, str]) -> bool:
    """Whether the dataset's card is a push's to write: it is not there, or as a push left it."""
    if CARD not in there.files:
        return True
    card = there.read(CARD)
    return unchanged(card.decode(errors="replace")) or sha256(card).hexdigest() == at_root.get(CARD)


def _sent(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


@contextmanager
def _in_one_line(repo: str, folder: Path) -> Iterator[None]:
    """What goes wrong with the hub, as `LakeError` that says what to do."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever HTTP library it uses
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalTokenNotFoundError,
    )

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise LakeError("no token for the hub: run `hf auth login`, or set HF_TOKEN") from error
    except HFValidationError as error:
        raise LakeError(f"{repo!r} is no name of a dataset: write OWNER/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        told: dict[int, Any] = dict.fromkeys((401, 403), "the token may not write there")
        told[412] = "somebody changed it meanwhile: push again"
        raise LakeError(
            f"{repo}: {told.get(status, f'the hub answered {status}')}; the export itself is in {folder}"
        ) from error
    except (HTTPError, OSError) as error:
        raise LakeError(
            f"{repo}: the hub cannot be reached ({type(error).__name__}); the export is in {folder}"
        ) from error
