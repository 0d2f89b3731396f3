"""The families under the path that programs of others import."""

from dataclasses import replace

import pytest

from gog.transforms import backbones
from gog.transforms.backbones import BACKBONES, BackboneName
from gog.transforms.dialect import backbones as families
from gog.transforms.dialect.backbones import qwen2_5_vl

NAME = BackboneName.QWEN2_5_VL


def test_it_has_the_families_and_nothing_else() -> None:
    assert dict(BACKBONES) == {name: families.BACKBONES[name] for name in families.BACKBONES}
    assert len(BACKBONES) == len(list(families.BACKBONES))
    assert backbones.Backbone is families.Backbone
    assert set(BackboneName) <= set(BACKBONES)
    assert BACKBONES.get("gpt-2") is None
    assert "json:loads" not in BACKBONES, "no dotted path is imported to find out"


def test_what_is_put_there_is_what_everybody_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen2_5_vl, "BACKBONE", qwen2_5_vl.BACKBONE)  # which is put back
    small = replace(BACKBONES[NAME], max_pixels=48 * 28 * 28)
    BACKBONES[small.name] = small
    assert families.BACKBONES["qwen2.5-vl"] is small
    assert BACKBONES[NAME] is small


def test_a_family_of_another_name_is_refused_and_none_is_removed() -> None:
    with pytest.raises(ValueError, match=r"qwen2\.5-vl is no qwen3-vl"):
        BACKBONES[BackboneName.QWEN3_VL] = BACKBONES[NAME]
    with pytest.raises(TypeError, match=r"qwen2\.5-vl stays"):
        del BACKBONES[NAME]
