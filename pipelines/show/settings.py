"""What a run's config sets, as text: the keys that are not at their defaults, and the models."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from gog.schemas import canonical_json

PLACES: Final = frozenset({"folder", "lake", "run"})
"""Keys that say where a run is, not what it does."""
_LOGIN: Final = re.compile(r"://[^/@\s]*@")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def settings_of(config: Mapping[str, Any]) -> dict[str, str]:
    """By dotted key, in the config's order: what a manifest's config has that no default says."""
    usual = _defaults()
    found = {key: value for key, value in flat(config) if key not in PLACES}
    # Sections of another kind than the default's, such as a source's, have keys that no default knows.
    set_here = {
        key: value for key, value in found.items() if (value != usual[key] if key in usual else value not in _EMPTY)
    }
    return {
        key: without_login(value if isinstance(value, str) else canonical_json(value))
        for key, value in set_here.items()
    }


def made_by(config: Mapping[str, Any]) -> dict[str, str]:
    """Which models made a run, by role, as its config names them; none of a manifest without its config."""
    panel = config.get("panel")
    named = {
        "teacher": [config.get("teacher")],
        "judge": [config.get("judge"), *(panel if isinstance(panel, list) else ())],
        "labeller": [config.get("labeller")],
    }
    words = {role: ", ".join(without_login(str(name)) for name in names if name) for role, names in named.items()}
    return {role: text for role, text in words.items() if text}


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested sections by dotted key."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield above + str(key), value


def without_login(text: str) -> str:
    """The text without who logs in to its addresses, and with what: a report is mailed."""
    return _LOGIN.sub("://…@", text)


@cache
def _defaults() -> dict[str, Any]:
    from gog.pipelines.config.config import Config

    return dict(flat(Config().model_dump(mode="json")))
