"""Questions about countries that no training shows, in two worlds."""

import json
from pathlib import Path

from learn.held_out import other_names, write

from gog.transforms.atlas.facts import by_code


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.with_suffix(".jsonl").read_text().splitlines()]


def test_every_country_bears_the_name_of_another() -> None:
    names = other_names()
    assert sorted(names.values()) == sorted(country.name for country in by_code().values())
    assert all(by_code()[code].name != name for code, name in names.items())


def test_the_same_pictures_and_questions_have_other_answers(tmp_path: Path) -> None:
    made = write(tmp_path, 6)
    real, permuted = rows(made.real), rows(made.permuted)
    assert len(real) == len(permuted) == 6
    for one, other in zip(real, permuted, strict=True):
        assert {key: one[key] for key in ("id", "image", "question")} == {
            key: other[key] for key in ("id", "image", "question")
        }
        assert one["answers"] != other["answers"]
    assert write(tmp_path, 6) == made


def test_the_index_of_the_other_world_has_its_names(tmp_path: Path) -> None:
    made = write(tmp_path, 1)
    texts = b"".join(path.read_bytes() for path in (made.gallery / "gallery").iterdir() if path.is_file())
    kenya = other_names()["KEN"]
    assert f"Flag of {kenya}".encode() in texts
