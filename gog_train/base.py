"""The merged model that a new adapter belongs to: written once, whole, by whichever process comes first."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

MARK: Final = "merged_from.sha256"
"""Names, in a folder that is whole, the adapter that was merged."""


def keep_base(model: Any, processor: Any, adapter: Path, folder: Path) -> None:
    """Have `folder` hold the model with that adapter merged, loadable when this returns.

    Processes of one machine wait for the one that writes; of machines that share no disk, each has one that does. What
    a killed one left, or another adapter's model, is written anew.
    """
    mark = _digest(adapter)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if (folder / MARK).is_file() and (folder / MARK).read_text("utf-8") == mark:
            return
        shutil.rmtree(folder, ignore_errors=True)
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        model.save_pretrained(part)
        processor.save_pretrained(part)
        (part / MARK).write_text(mark, "utf-8")
        part.rename(folder)


def _digest(adapter: Path) -> str:
    """Of the adapter's weights and what scales them."""
    digest = hashlib.sha256()
    for path in sorted([*adapter.glob("adapter_model*"), adapter / "adapter_config.json"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
