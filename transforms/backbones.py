"""The families as a dictionary, for programs that import `gog.transforms.backbones`.

Ours ask `gog.transforms.dialect.backbones`, of which this is a view: what is put here is what all of this process gets.
"""

from collections.abc import Iterator, MutableMapping
from enum import StrEnum
from importlib import import_module

from gog.transforms.dialect.backbones import BACKBONES as FAMILIES
from gog.transforms.dialect.backbones import Backbone


class BackboneName(StrEnum):
    """The two families that the paper's data is exported for; further ones are plain names."""

    QWEN2_5_VL = "qwen2.5-vl"
    QWEN3_VL = "qwen3-vl"


class _View(MutableMapping[str, Backbone]):
    def __getitem__(self, name: str) -> Backbone:
        if name not in iter(FAMILIES):
            raise KeyError(name)
        return FAMILIES[name]

    def __setitem__(self, name: str, backbone: Backbone) -> None:
        """Put a family with other limits in the place of ours of that name."""
        if backbone.name != name:
            raise ValueError(f"{backbone.name} is no {name}")
        origin = f"{FAMILIES.package}.{name.replace('-', '_').replace('.', '_')}"
        setattr(import_module(origin), FAMILIES.attribute, backbone)

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name} stays: {FAMILIES.package} has it")

    def __iter__(self) -> Iterator[str]:
        return iter(FAMILIES)

    def __len__(self) -> int:
        return sum(1 for _ in FAMILIES)


BACKBONES = _View()

__all__ = ["BACKBONES", "Backbone", "BackboneName"]
