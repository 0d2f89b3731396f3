"""Pictures whose files are small and whose decoding is not."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from gog.transforms import decode_cost
from gog.transforms.decode_cost import DEAR_SCANS, MOST_SCANS, MOST_SEGMENTS, CostError, WatchedFile, count_scans
from gog.transforms.images import ImageError, ImageLimits, decode_image, load_image

LIMITS = ImageLimits()


def progressive(more: int = 0, side: int = 64) -> bytes:
    """A progressive JPEG, its first scan of fine detail `more` times again at its end."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "JPEG", progressive=True, quality=50)
    data = out.getvalue()
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    again = data[starts[1] : data.index(b"\xff\xc4", starts[1])]
    return data[:-2] + again * more + data[-2:]


def test_scans_are_counted() -> None:
    assert count_scans(progressive()) == 10
    assert count_scans(progressive(30)) == 40
    out = io.BytesIO()
    Image.new("RGB", (64, 64), 90).save(out, "JPEG", exif=b"Exif\0\0" + b"\xff\xda\0\x04" * 100)
    assert count_scans(out.getvalue() + b"\xff\xda\0\x02" * 100) == 1  # not those of thumbnails, nor behind the end


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    bomb = progressive(2000, 200)
    began = time.process_time()
    for read in (lambda: load_image(bomb, LIMITS), lambda: decode_image(bomb)):
        with pytest.raises(ImageError, match=f"image_bomb: .*{MOST_SCANS} scans"):
            read()
    assert time.process_time() - began < 2


def test_what_is_dear_is_stored_anew() -> None:
    usual, dear = load_image(progressive(), LIMITS), load_image(progressive(DEAR_SCANS), LIMITS)
    assert (usual.original, dear.original) == (True, False)
    assert count_scans(dear.data) == 1
    assert dear.image.tobytes() == decode_image(dear.data).tobytes()


def test_segments_are_bounded() -> None:
    with pytest.raises(CostError, match="segments"):
        count_scans(b"\xff\xd8" + b"\xff\xe0\0\x02" * (MOST_SEGMENTS + 1))
    for cut in (b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xda\xff", b"\xff" * 1000):
        assert count_scans(cut) <= 1


def test_reading_has_so_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = b"P3 900 900 255\n" + b"1 " * (900 * 900 * 3)
    assert load_image(slow, LIMITS).width == 900
    monkeypatch.setattr(decode_cost, "MOST_SECONDS", 0.005)
    with pytest.raises(ImageError, match="image_bomb: reading it takes"):
        load_image(slow, LIMITS)


def test_a_watched_file_is_a_file() -> None:
    assert WatchedFile(b"abc").read() == b"abc"
    assert WatchedFile(b"abc").read(2) == b"ab"
