"""torchvision's wheel of the package index is built for CUDA; beside a CPU torch its operators are missing.

Importing this module declares the two that ultralytics needs and gives them bodies, so that detectors can be tried on
a machine without a GPU. Where torchvision imports as it is, nothing is changed.
"""

from typing import Any


def make_importable() -> None:
    """Have `import torchvision` work."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _keep.append(library)
        import torchvision.ops.boxes

        torchvision.ops.nms = torchvision.ops.boxes.nms = _nms


_keep: list[Any] = []


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    import torch

    from gog.transforms.services.detectors.yolo_head import suppress

    order = scores.argsort(descending=True)
    kept = suppress(boxes[order].numpy(), torch.zeros(len(order)).long().numpy(), iou_threshold, len(order))
    return order[torch.from_numpy(kept)]
