"""What a run's config sets: the keys that are not at their defaults."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from gog.schemas import canonical_json

_PLACES: Final = frozenset({"folder", "lake", "run"})
"""Where the run is, which says nothing of what it is."""
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def settings_of(config: Mapping[str, Any]) -> dict[str, str]:
    """By dotted key, in the config's order: what a manifest's config has that no default says."""
    usual = _defaults()
    found = {key: value for key, value in _flat(config) if key.split(".")[0] not in _PLACES}
    # Sections of another kind than the default's, such as a source's, have keys that no default knows.
    return {
        key: value if isinstance(value, str) else canonical_json(value)
        for key, value in found.items()
        if (value != usual[key] if key in usual else value not in _EMPTY)
    }


@cache
def _defaults() -> dict[str, Any]:
    from gog.pipelines.config.config import Config

    return dict(_flat(Config().model_dump(mode="json")))


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + str(key), value
