"""What a provider is: all that the house knows of one kind of address, in one object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from gog.transforms.image_store import ImageStore
from gog.transforms.passing_images import PassingImages

S = TypeVar("S", covariant=True)
A = TypeVar("A")

BUNDLED: Final = "atlas"
"""What stands behind the scheme for an index of the bundled world; else it is a folder."""


class ProviderError(ValueError):
    """A service cannot be opened. One line that says what to do, and shows no key."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a provider is told to open a service."""

    address: str
    images: ImageStore = field(default_factory=PassingImages)
    """Where pictures are by their hashes, and where thumbnails go."""
    sections: tuple[object, ...] = ()
    """Settings, one of a type at most: `SearchSettings`, `DetectSettings` and so on."""
    calls: bool = True
    """Whether the service will be asked; in a replay, or to check an address, no key is needed."""
    rest: str = ""
    """What stands behind the address's scheme; a URL whole."""
    key: str = ""
    """What the provider's variable holds."""

    def find(self, section: type[A]) -> A | None:
        """The settings of a type; None where there are none."""
        return next((one for one in self.sections if isinstance(one, section)), None)

    def of(self, section: type[A]) -> A:
        """The settings of a type, or its defaults."""
        return self.find(section) or section()


def bare(opening: Opening) -> bool:
    """Whether nothing stands behind the scheme."""
    return not opening.rest


@dataclass(frozen=True, kw_only=True)
class Provider(Generic[S]):
    """One kind of address. The service's `id` begins with `name`, or its price cannot be looked up by it."""

    name: str
    """Scheme of its addresses; `http` is that of https too."""
    open: Callable[[Opening], S]
    """Raises `ProviderError`. Packages of an extra are imported here, or later."""
    example: str
    """An address, for messages."""
    fits: Callable[[Opening], bool] = bare
    """Whether the rest is one of its; `ProviderError` where there is more to say. Opens and calls nothing."""
    key: str = ""
    """Environment variable of its key."""
    key_needed: bool = True
    price: str = ""
    """What its price is looked up by; the name where it is empty."""
    embedded: bool = False
    """Whether it runs in this process and costs nothing."""
    rest: Literal["name", "path", "either"] = "name"
    """What stands behind its scheme: a path on this machine, something else, or a path where there is one."""
    files: Callable[[Path], Mapping[str, Path] | None] | None = None
    """The files that lie at a path behind its scheme, each by its place in any folder where the path's last name would
    do as well; None where they are not at hand."""
    packages: tuple[str, ...] = ()
    """Modules that opening needs,"""
    extra: str = ""
    """and the extra of glance-or-gaze that brings them."""
