"""Splits without leaks: seeds that share a target entity, a gold page or an image cluster stay together.

Nothing else links: distractors and pages that many searches return say nothing of what a question is about.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from gog.schemas import Grouping, Side, Split
from gog.schemas.errors import UserError
from gog.transforms.verify.normalise import normalise


class SplitSettings(BaseModel):
    """Shares of the groups, and when a group is too big to be one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rl_share: float = Field(default=0.05, ge=0, le=1)
    """Of the groups, kept from SFT; seeds that SFT did not train on are RL's anyway."""
    validation_share: float = Field(default=0.05, ge=0, le=1)
    """Of the groups, on either side."""
    hub_share: float = Field(default=0.05, gt=0, le=1)
    """A group with more of the seeds than this stops the export."""
    hub_floor: int = Field(default=20, ge=1)
    """A group with at most so many seeds never does."""


class HubError(UserError, ValueError):
    """A group is too large to keep the splits' shares; the message names what holds it together."""


class LeakError(UserError, ValueError):
    """An entity, page or image cluster is in two splits."""


class LightSeed(NamedTuple):
    """What grouping needs to know of a screened seed."""

    seed_id: str
    entity: str | None
    gold_page: str | None
    pictures: tuple[str, ...]
    """Sha256 of its image, and of earlier ones that this is like."""
    question: str


def link_keys(seed: LightSeed, cluster: str) -> tuple[str, ...]:
    """What links the seed: `entity:...`, `page:...`, and its image cluster (`image:...`)."""
    keys = [cluster]
    if seed.entity and seed.entity.strip():
        keys.append(_short(f"entity:{normalise(seed.entity)}"))
    if seed.gold_page and seed.gold_page.strip():
        keys.append(_short(f"page:{page_key(seed.gold_page)}"))
    return tuple(sorted(keys))


def page_key(url: str) -> str:
    """An address without what does not change the page: scheme, `www.`, mobile host, fragment, last slash."""
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.lower().removeprefix("www.").replace(".m.", ".", 1).removeprefix("m.")
    except ValueError:
        return url.strip()
    path = unquote(parts.path).replace(" ", "_").rstrip("/")
    return f"{host}{path}{'?' + parts.query if parts.query else ''}" or url.strip()


def _short(key: str) -> str:
    if len(key) <= 120:
        return key
    return f"{key[:100]}~{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:12]}"


def group(keys: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Group of each seed id: seeds that share a key, directly or through others, share a group.

    A group is named by its smallest key (an entity before an image before a page), not by the seeds in it. Seeds
    that come or go leave the name as it is, unless they bring a smaller key or join two groups; then the group with
    the larger name is renamed, and may move to another split. Nothing else ever moves.
    """
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        root = key
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    for linked in keys.values():
        for key in linked[1:]:
            low, high = sorted((find(linked[0]), find(key)))
            parent[high] = low
    return {seed_id: find(linked[0]) for seed_id, linked in keys.items()}


def image_keys(seed: LightSeed) -> tuple[str, ...]:
    """What links the seed to others of its image cluster."""
    return tuple(f"image:{picture[:16]}" for picture in seed.pictures)


def image_clusters(seeds: Iterable[LightSeed]) -> dict[str, str]:
    """Image cluster of each seed id: alike pictures, and what is like those, share one, named by its smallest hash."""
    return group({seed.seed_id: image_keys(seed) for seed in seeds})


class Hub(NamedTuple):
    """A group and what holds most of it together."""

    size: int
    """Seeds in the group."""
    group: str
    key: str
    uses: int
    """Seeds that have the key."""


def hub_of(name: str, keys: Iterable[tuple[str, ...]]) -> Hub:
    """The hub of a group, by the keys of its seeds."""
    of_seeds = list(keys)
    uses = Counter(key for of_seed in of_seeds for key in of_seed)
    key, count = min(uses.items(), key=lambda item: (-item[1], item[0]))
    return Hub(len(of_seeds), name, key, count)


def check_hubs(hubs: Iterable[Hub], seeds: int, settings: SplitSettings) -> None:
    """Raise `HubError` when a group holds too many of so many seeds."""
    hub = min(hubs, key=lambda hub: (-hub.size, hub.group), default=None)
    limit = max(settings.hub_floor, settings.hub_share * seeds)
    if hub is None or hub.size <= limit:
        return
    kind, _, what = hub.key.partition(":")
    raise HubError(
        f"{hub.size} of {seeds} seeds hang together (limit {limit:g}), most of them ({hub.uses}) by the {kind} "
        f"{what!r}: drop or relabel it in the source, or raise hub_share"
    )


def place(name: str, settings: SplitSettings, run_seed: int = 0) -> tuple[Side, Split]:
    """Side and split of a group, by a hash of its name and the run seed alone."""
    side = Side.RL if _unit(f"side/{run_seed}/{name}") < settings.rl_share else Side.SFT
    held_out = _unit(f"split/{run_seed}/{name}") < settings.validation_share
    return side, Split.VALIDATION if held_out else Split.TRAIN


def _unit(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "replace")).digest()[:7]) / 2**56


def split_seeds(seeds: Iterable[LightSeed], settings: SplitSettings, run_seed: int = 0) -> tuple[Grouping, ...]:
    """Group, image cluster, side and split of every seed, by seed id.

    Raises `HubError`. The shares are met in expectation, over groups: few or
    uneven groups can miss them.
    """
    known = list(seeds)
    groupings, hubs = split_linked(known, settings, run_seed)
    check_hubs(hubs, len({seed.seed_id for seed in known}), settings)
    return groupings


def split_linked(
    seeds: Iterable[LightSeed], settings: SplitSettings, run_seed: int = 0
) -> tuple[tuple[Grouping, ...], tuple[Hub, ...]]:
    """The same of seeds that nothing links to others, and the hubs of groups above the floor, which nobody checked."""
    known = {seed.seed_id: seed for seed in seeds}
    clusters = image_clusters(known.values())
    keys = {seed_id: link_keys(seed, clusters[seed_id]) for seed_id, seed in known.items()}
    groups = group(keys)
    members = defaultdict[str, list[str]](list)
    for seed_id in sorted(groups):
        members[groups[seed_id]].append(seed_id)
    large = {name: ids for name, ids in members.items() if len(ids) > settings.hub_floor}
    hubs = tuple(hub_of(name, (keys[seed_id] for seed_id in ids)) for name, ids in large.items())
    rows = []
    for seed_id in sorted(groups):
        side, split = place(groups[seed_id], settings, run_seed)
        rows.append(Grouping(seed_id=seed_id, group=groups[seed_id], cluster=clusters[seed_id], side=side, split=split))
    check_no_leak(keys, {row.seed_id: f"{row.side}/{row.split}" for row in rows})
    return tuple(rows), hubs


def check_no_leak(keys: Mapping[str, tuple[str, ...]], places: Mapping[str, str]) -> None:
    """Raise `LeakError` when a key's seeds are in two places; a seed without a place is in none."""
    sides: dict[str, set[str]] = defaultdict(set)
    for seed_id, where in places.items():
        for key in keys[seed_id]:
            sides[key].add(where)
    for key in sorted(sides):
        if len(sides[key]) > 1:
            raise LeakError(f"{key} is in {' and '.join(sorted(sides[key]))}")
