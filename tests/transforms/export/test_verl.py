from pathlib import Path

import pytest
from lakes import EPISODE, level_of, make_seed

from gog.pipelines.lake.image_files import ImageFiles
from gog.schemas import Split
from gog.transforms.export.rows import ExportSettings, RlRow, rl_row
from gog.transforms.export.verl import rl


@pytest.mark.parametrize(("category", "ability"), [("flags", "flags"), ("", "visual-search")])
def test_an_ability_is_the_category_or_what_all_have(tmp_path: Path, category: str, ability: str) -> None:
    seed = make_seed(1, ImageFiles(tmp_path)).model_copy(update={"category": category})
    row = rl_row(seed, level_of(seed, 1), Split.TRAIN, ExportSettings(), EPISODE)
    assert isinstance(row, RlRow)
    assert rl(row, 0, "original.jpg")["ability"] == ability
