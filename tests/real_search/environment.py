"""The folder that `get.sh` filled, which GOG_REAL_SEARCH names: `make test-search` does both."""

import os
from pathlib import Path
from typing import Final

HOME: Final = Path(os.environ.get("GOG_REAL_SEARCH", "none"))
PICTURE_ENCODERS: Final = {name: f"onnx:{HOME}/{name}/model.onnx" for name in ("lite0", "lite2")}
TEXT_ENCODERS: Final = {"E5-small-v2": f"onnx:{HOME}/e5/e5-small-v2.onnx", "MiniLM": f"transformers:{HOME}/minilm"}
