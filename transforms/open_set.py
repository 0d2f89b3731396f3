"""Open sets: what users extend without a fork. Each set is read in one place, whoever wants a member.

A member is one object. Ours stand in modules of one package, each under the set's attribute; those of other
distributions are entry points of the set's group; and a dotted path (`my_pkg.my_mod:thing`) names one that nobody
has declared. Ours come first: no installed package changes what a name of ours means.

    [project.entry-points."gog.filters"]
    no_memes = "my_pkg.my_mod:no_memes"
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from gog.schemas.errors import UsageError

T = TypeVar("T", covariant=True)

_PATH = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)[:.](?P<name>[A-Za-z_]\w*)")
OURS = "glance-or-gaze"


class UnknownMemberError(UsageError, ValueError):
    """Nobody has a member of that name, or it cannot be loaded; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a member comes from: the distribution and its version, or the module and a hash of its source."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class OpenSet(Generic[T]):
    """The members of one kind, by name.

    `kind` is what messages call a member; `group` the entry points of others; `package` and `attribute` where ours
    are: a member of ours stands in the module of its name, under `attribute`. `elsewhere` has the dotted paths of ours
    that cannot stand there.
    """

    kind: str
    group: str
    package: str
    attribute: str
    elsewhere: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __getitem__(self, name: str) -> T:
        """The member. Raises `UnknownMemberError`."""
        return self._load(name)[0]

    def __contains__(self, name: str) -> bool:
        """Whether there is one, without loading others."""
        return name in self._theirs or _PATH.fullmatch(name) is not None or self._own_module(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Names of ours, then of those that installed packages declare."""
        return iter((*self._ours, *(name for name in self._theirs if name not in self._ours)))

    def origin(self, name: str) -> Origin:
        """Where the member comes from. Raises `UnknownMemberError`."""
        return self._load(name)[1]

    @property
    def installed(self) -> dict[str, Origin]:
        """Members of other distributions that are installed, by name; they are not loaded."""
        return {name: _origin_of(point) for name, point in self._theirs.items() if name not in self._ours}

    @cached_property
    def _ours(self) -> dict[str, T]:
        package = import_module(self.package)
        modules = (import_module(f"{self.package}.{one.name}") for one in iter_modules(package.__path__))
        members = [getattr(module, self.attribute) for module in modules if hasattr(module, self.attribute)]
        members += [self._imported(name, *path.split(":")) for name, path in self.elsewhere.items()]
        return {member.name: member for member in members}

    @cached_property
    def _theirs(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in sorted(entry_points(group=self.group), key=lambda point: point.name)}

    def _load(self, name: str) -> tuple[T, Origin]:
        own = self._own_module(name)
        if own is not None:
            return own, Origin(OURS, version(OURS))
        if name in self._theirs:
            point = self._theirs[name]
            return self._imported(name, point.module, point.attr), _origin_of(point)
        if path := _PATH.fullmatch(name):
            return self._imported(name, path["module"], path["name"]), Origin(path["module"], _digest(path["module"]))
        if name in self._ours:
            return self._ours[name], Origin(OURS, version(OURS))
        raise UnknownMemberError(f"there is no {self.kind} {name!r}; there are {', '.join(self)}")

    def _own_module(self, name: str) -> T | None:
        """Ours, by the module of its name alone: the others are not imported."""
        if name in self.elsewhere:
            return self._imported(name, *self.elsewhere[name].split(":"))
        module = f"{self.package}.{re.sub(r'[^0-9a-z]+', '_', name.lower())}"
        if ("." in name and name not in self._ours) or find_spec(module) is None:
            return None
        member = getattr(import_module(module), self.attribute, None)
        return member if member is not None and member.name == name else None

    def _imported(self, name: str, module: str, attribute: str) -> T:
        try:
            member: Any = import_module(module)
            for part in attribute.split("."):
                member = getattr(member, part)
        except (ImportError, AttributeError) as error:
            raise UnknownMemberError(f"{self.kind} {name!r} cannot be loaded: {error}") from error
        return member  # type: ignore[no-any-return]


@cache
def _digest(module: str) -> str:
    """The first digits of a hash of the module's source: what changes when somebody edits it."""
    spec = find_spec(module)
    source = Path(spec.origin).read_bytes() if spec is not None and spec.origin and spec.has_location else b""
    return hashlib.sha256(source).hexdigest()[:12]


@cache
def _origin_of(point: EntryPoint) -> Origin:
    return Origin(point.dist.name, point.dist.version) if point.dist else Origin(point.module, "")


def taken(uses: Iterable[tuple[OpenSet[Any], str]]) -> dict[str, str]:
    """Distribution and version by kind and name (`tool measure`), of others alone. Raises `UnknownMemberError`."""
    origins = {f"{members.kind} {name}": members.origin(name) for members, name in uses}
    return {use: str(origin) for use, origin in sorted(origins.items()) if origin.distribution != OURS}


def declared(group: str, kind: str) -> dict[str, str]:
    """Distribution and version of what others declare for a group, as `taken` has it; nothing is loaded."""
    return {f"{kind} {point.name}": str(_origin_of(point)) for point in entry_points(group=group)}


def plugins() -> dict[Origin, list[EntryPoint]]:
    """What installed distributions declare for sets of ours, by distribution; nothing is loaded."""
    by_origin: dict[Origin, list[EntryPoint]] = {}
    for group in sorted(group for group in entry_points().groups if group.startswith("gog.")):
        for point in sorted(entry_points(group=group), key=lambda point: point.name):
            by_origin.setdefault(_origin_of(point), []).append(point)
    return by_origin
