"""Vectors that a build had made when it was ended are there for the next one, up to where it was cut."""

from pathlib import Path

import numpy as np
import pytest

from gog.transforms.services.search.kept_vectors import KeptVectors

KEYS = [bytes([n]) * 32 for n in range(4)]
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kept = KeptVectors(tmp_path / "gallery", "one")
    kept.add(KEYS[:2], ROWS[:2])
    kept.add(KEYS[2:], ROWS[2:])
    return tmp_path / "gallery"


def test_they_are_found_by_their_hash(folder: Path) -> None:
    kept = KeptVectors(folder, "one")
    assert [row.tolist() for key in KEYS if (row := kept.get(key)) is not None] == ROWS.tolist()
    assert kept.get(b"9" * 32) is None
    kept.drop()
    assert KeptVectors(folder, "one").get(KEYS[0]) is None
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_record_that_was_being_written_is_written_anew(folder: Path, cut: int) -> None:
    (path,) = folder.parent.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    kept = KeptVectors(folder, "one")
    assert [kept.get(key) is not None for key in KEYS] == [True, True, cut <= 44, False]
    kept.add(KEYS[3:], ROWS[3:])
    again = KeptVectors(folder, "one").get(KEYS[3])
    assert again is not None
    assert again.tolist() == ROWS[3].tolist()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null\n", b'{"encoder": "one"}\n', b'{"encoder": "one", "dimensions": "x"}\n']
)
def test_what_is_damaged_or_of_another_encoder_is_begun_anew(folder: Path, data: bytes) -> None:
    assert KeptVectors(folder, "other").get(KEYS[0]) is None
    (path,) = folder.parent.iterdir()
    path.write_bytes(data)
    kept = KeptVectors(folder, "one")
    kept.add(KEYS, ROWS)
    assert KeptVectors(folder, "one").get(KEYS[3]) is not None
