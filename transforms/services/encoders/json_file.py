"""JSON files of models, which others wrote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gog.transforms.services.provider import ProviderError

_MOST: Final = 16 << 20


def read_json(file: Path) -> Mapping[str, Any]:
    """The object in a file. Raises `ProviderError`."""
    try:
        if file.stat().st_size > _MOST:
            raise ValueError("it is too long")
        found = json.loads(file.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise ProviderError(f"{file}: it cannot be read: {error}") from None
    return found
