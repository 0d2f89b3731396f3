"""The searchable side of the bundled world: its two indexes, built once into a cache folder."""

import hashlib
from importlib.resources import files
from pathlib import Path

from gog.schemas import canonical_json
from gog.transforms.atlas.pages import articles, gallery_pictures
from gog.transforms.images import jpeg
from gog.transforms.services.search.corpus import FORMAT, build_corpus
from gog.transforms.services.search.gallery import build_gallery
from gog.transforms.services.search.grid_table import EMBEDDER
from gog.transforms.services.search.index_folder import building

_LAYOUT = 1
"""Raise it when the drawing of the pictures or the making of an index changes."""


def world_version() -> str:
    """Hash of everything the indexes are made of."""
    facts = (files("gog.transforms.atlas") / "assets" / "countries.json").read_bytes()
    parts = [_LAYOUT, EMBEDDER, FORMAT, hashlib.sha256(facts).hexdigest(), [list(article) for article in articles()]]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:12]


def atlas_world(folder: Path) -> Path:
    """Folder of the bundled world's indexes, `gallery` and `corpus`; built when it is not there, which takes 2 s.

    Safe to call from many processes at once: each version has its folder, which appears whole.
    """
    home = folder / f"atlas-{world_version()}"
    if not home.exists():
        with building(home, replace=False) as fresh:
            pictures = ((p.url, p.title, p.snippet, jpeg(p.image, 92, subsampling=-1)) for p in gallery_pictures())
            build_gallery(pictures, fresh / "gallery", name="atlas")
            build_corpus(articles(), fresh / "corpus", name="atlas")
    return home
