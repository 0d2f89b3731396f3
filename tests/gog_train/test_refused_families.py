"""Families that are refused: what they do that no training here can."""

import pytest

from gog.schemas import Box, Frame, FrameSpec
from gog.schemas.boxes import to_frame
from gog_train.processors import REFUSED


@pytest.mark.parametrize("frame", Frame)
def test_no_frame_has_y_first_as_gemma_4_writes_boxes(frame: Frame) -> None:
    x1, y1, x2, y2 = to_frame(Box(0.1, 0.2, 0.3, 0.4), FrameSpec(frame), 1000, 1000)
    assert x1 < y1 < x2 < y2
    assert "y first" in REFUSED["gemma4"]
