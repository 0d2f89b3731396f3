"""The card of a dataset on the hub that holds exports in folders by kind: each is a config of that name.

The card carries a hash of itself: one that somebody has changed is theirs.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import yaml

_MARK: Final = re.compile(r"<!-- written by gog export --push: ([0-9a-f]{64}) -->\n\Z")
_SHARED: Final = ("license", "license_name", "language", "size_categories", "task_categories", "tags")


class CardError(ValueError):
    """The text is no card of an export."""


def joint_card(repo: str, cards: Mapping[str, str]) -> str:
    """The card of the dataset `repo` over the cards of its exports, by kind. Raises `CardError`."""
    matters = {kind: _front_matter(card) for kind, card in sorted(cards.items())}
    merged: dict[str, Any] = {}
    for key in _SHARED:
        values = list(dict.fromkeys(value for matter in matters.values() for value in _listed(matter.get(key))))
        if key == "license_name":
            merged |= {key: ", ".join(values)} if values else {}
        elif values:
            merged[key] = values[0] if key == "license" and len(values) == 1 else values
    configs = [
        {"config_name": kind, "data_files": files}
        for kind, matter in matters.items()
        if (files := _files(kind, matter))
    ]
    matter = {"pretty_name": "Glance-or-Gaze splits"} | merged | ({"configs": configs} if configs else {})
    loads = "".join(f'{c["config_name"]} = load_dataset("{repo}", "{c["config_name"]}")\n' for c in configs)
    usage = f"```python\nfrom datasets import load_dataset\n\n{loads}```\n\n" if configs else ""
    folders = "".join(f"- `{kind}`: [its card]({kind}/README.md), manifest and rejects\n" for kind in matters)
    text = (
        f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---\n\n# Glance-or-Gaze splits\n\n"
        f"Each folder is one export, and a config of that name:\n\n{folders}\n{usage}"
    )
    return f"{text}<!-- written by gog export --push: {sha256(text.encode()).hexdigest()} -->\n"


def unchanged(card: str) -> bool:
    """Whether `joint_card` wrote this text and nobody changed it."""
    mark = _MARK.search(card)
    return mark is not None and sha256(card[: mark.start()].encode()).hexdigest() == mark[1]


def _front_matter(card: str) -> dict[str, Any]:
    parts = card.split("---\n", 2)
    try:
        matter = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else None
    except yaml.YAMLError as error:
        raise CardError("its front matter is no YAML") from error
    if not isinstance(matter, dict):
        raise CardError("it has no front matter")
    return matter


def _listed(value: object) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _files(kind: str, matter: Mapping[str, Any]) -> list[dict[str, str]]:
    """The data files of an export's card as they lie in the folder of its kind."""
    try:
        files = matter["configs"][0]["data_files"] if "configs" in matter else []
        return [{"split": str(one["split"]), "path": f"{kind}/{one['path']}"} for one in files]
    except (KeyError, IndexError, TypeError) as error:
        raise CardError("its configs are not those of an export") from error
