"""The family of the model that learns from nothing: Qwen3-VL with pictures of at most 48 visual tokens.

`install` declares it as an installed package would, for this process and those that it starts: an export names it, and
trainers look it up.
"""

import os
import sys
from pathlib import Path
from typing import Final

from gog.schemas import Frame
from gog.transforms.dialect.backbones.family import Backbone

NAME: Final = "small-qwen3-vl"

BACKBONE = Backbone(
    name=NAME,
    model_type="qwen3_vl",
    example="pretrained",
    frame=Frame.PER_MILLE,
    factor=32,
    min_pixels=64 * 64,
    max_pixels=48 * 32 * 32,
    formats=("trl",),
    llama_factory="",
    opens_thought=True,
)


def install(folder: Path) -> None:
    """Put the distribution that declares the family into a folder, and the folder on the path."""
    info = folder / "gog_learn-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gog-learn\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[gog.backbones]\n{NAME} = learn.family:BACKBONE\n")
    paths = [str(folder), str(Path(__file__).parents[1])]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
