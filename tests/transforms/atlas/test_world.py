"""The two indexes of the bundled world: built once, whole, and drawn otherwise than the scenes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gog.transforms.atlas import world
from gog.transforms.atlas.facts import countries, flag
from gog.transforms.atlas.pages import articles, gallery_pictures
from gog.transforms.atlas.world import atlas_world
from gog.transforms.services.search.index_folder import IndexUnwrittenError


def test_built_once_and_then_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = atlas_world(tmp_path)
    monkeypatch.setattr(world, "build_gallery", lambda *_, **__: pytest.fail("built twice"))
    assert atlas_world(tmp_path) == first
    assert list(tmp_path.iterdir()) == [first]
    assert {path.name for path in first.iterdir()} == {"gallery", "corpus"}


def test_two_builders_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(atlas_world, [tmp_path, tmp_path])
    assert one == other
    assert len(list(tmp_path.iterdir())) == 1


def test_a_build_cut_short_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world, "build_corpus", full_disk)
    with pytest.raises(IndexUnwrittenError, match="No space"):
        atlas_world(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_every_flag_drawn_otherwise_and_the_same_each_time() -> None:
    pictures = list(gallery_pictures())
    assert [p.url for p in pictures] == [f"atlas://flag/{c.code}" for c in countries()]
    assert "Flag of Kenya" in {p.title for p in pictures}
    assert "Flag of the Gambia" in {p.title for p in pictures}
    again = next(iter(gallery_pictures()))
    assert again.image.tobytes() == pictures[0].image.tobytes()
    for picture, country in zip(pictures, countries(), strict=True):
        plain = np.asarray(flag(country.code).resize(picture.image.size, Image.Resampling.BICUBIC), np.int16)
        assert np.abs(np.asarray(picture.image, np.int16) - plain).mean() > 3


def test_an_article_for_every_country_and_some_more() -> None:
    found = articles()
    assert len({article.url for article in found}) == len(found) > len(countries()) + 20
    assert {country.page for country in countries()} <= {article.url for article in found}
    kenya = next(article.text for article in found if article.title == "Kenya")
    assert "The capital of Kenya is Nairobi." in kenya
    assert "580,367 square kilometres" in kenya
