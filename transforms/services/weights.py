"""Files of weights, known by what is in them."""

import hashlib
from pathlib import Path


def file_hash(path: Path) -> str:
    """The first 12 hex digits of a file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
