"""What detectors with weights are told."""

from pydantic import BaseModel, ConfigDict, Field


class DetectSettings(BaseModel):
    """Thresholds and sizes; all but `batch` and `device` change answers, and so the detector's id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float = Field(default=0.25, ge=0, le=1)
    """Least score of a detection."""
    iou: float = Field(default=0.7, gt=0, le=1)
    """Of two boxes of one label that overlap more than this, the better one stays."""
    image_size: int = Field(default=640, ge=32, le=4096)
    """Longer side of what the model sees, in pixels; an ONNX file of fixed size has its own."""
    limit: int = Field(default=24, ge=1, le=300)
    """Detections an image, at most."""
    batch: int = Field(default=8, ge=1, le=256)
    """Images that the model sees at once."""
    device: str = ""
    """Such as `cpu`, `cuda:0`; empty takes the best there is. On a GPU the model runs in half precision."""

    @property
    def suffix(self) -> str:
        """What of the settings belongs into an id: empty for the defaults."""
        told = self.model_dump(include={"confidence", "iou", "image_size", "limit"}, exclude_defaults=True)
        return "".join(f",{name}={value:g}" for name, value in sorted(told.items()))
