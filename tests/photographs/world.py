"""A world of photographs: questions over single pictures and boards of several, an index to search, and the truth.

It is made of any pictures with names, so that the engine is measured on what is not `atlas`.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageEnhance

_ROWS: Final = ("top", "middle", "bottom")
_COLUMNS: Final = ("left", "centre", "right")


@dataclass(frozen=True)
class Subject:
    """What a picture shows. A `fact` that only its page tells: (question about "the {kind}", answer, sentence)."""

    name: str
    kind: str
    picture: Image.Image
    text: str = ""
    fact: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Truth:
    """What the teacher sees in a picture and is asked: kept from the engine."""

    question: str
    answer: str
    target: str
    """Empty where the question needs no search."""
    box: tuple[float, float, float, float] | None
    """x1, y1, x2, y2 as fractions: where the target is; None for the whole picture."""
    others: tuple[tuple[float, float, float, float], ...]
    """Boxes of what else is there."""
    hop: bool


def build(subjects: list[Subject], folder: Path, questions: int, *, entity: bool = False, seed: int = 0) -> None:
    """Write `questions.jsonl`, `photos/`, `index/` (pictures, captions and pages to index) and `truth.jsonl`."""
    rng = random.Random(seed)
    (folder / "photos").mkdir(parents=True)
    _write_index(subjects, folder / "index_of")
    rows, truths = [], []
    for number in range(questions):
        image, truth = _ask(subjects, rng, number)
        path = f"{number:04d}.jpg"
        image.save(folder / "photos" / path, quality=88)
        row: dict[str, Any] = {"id": f"q{number}", "question": truth.question, "answers": [truth.answer], "image": path}
        if entity and truth.target:
            row["entity"] = truth.target
        rows.append(row)
        truths.append({"image": path, **asdict(truth)})
    _lines(folder / "questions.jsonl", rows)
    _lines(folder / "truth.jsonl", truths)


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write_index(subjects: list[Subject], folder: Path) -> None:
    """A smaller cut of each picture, in other light, under its name; and a page each."""
    (folder / "pictures").mkdir(parents=True)
    captions = []
    for number, subject in enumerate(subjects):
        width, height = subject.picture.size
        cut = subject.picture.crop((width // 12, height // 14, width - width // 16, height - height // 12))
        cut.thumbnail((640, 640))
        cut = ImageEnhance.Brightness(cut).enhance(0.8 + 0.4 * (number % 7) / 6)
        cut.save(folder / "pictures" / f"{number:03d}.jpg", quality=75)
        address = f"https://photos.example/{number}"
        captions.append({"image": f"{number:03d}.jpg", "title": subject.name, "url": address})
        if subject.text:
            captions.append({"title": subject.name, "text": subject.text, "url": address})
    _lines(folder / "texts.jsonl", captions)


def _ask(subjects: list[Subject], rng: random.Random, number: int) -> tuple[Image.Image, Truth]:
    form = number % 10
    if form < 2:
        return _single(rng.choice(subjects), hop=form == 1)
    columns, rows = rng.choice([(2, 2), (3, 2), (3, 3)])
    chosen = rng.sample(subjects, columns * rows)
    if form == 2:
        return _counted(*_board(chosen, columns, rows, rng), len(chosen))
    board, boxes = _board(chosen, columns, rows, rng)
    place = rng.randrange(len(chosen))
    row, column = divmod(place, columns)
    across = _COLUMNS[column] if columns == 3 else _COLUMNS[column * 2]
    down = _ROWS[row] if rows == 3 else _ROWS[row * 2]
    where = f"{down} {across}" if (down, across) != ("middle", "centre") else "centre"
    subject = chosen[place]
    others = tuple(box for other, box in enumerate(boxes) if other != place)
    if subject.fact is not None and form >= 6:
        question = subject.fact[0].format(f"the {subject.kind} at the {where} of the board")
        return board, Truth(question, subject.fact[1], subject.name, boxes[place], others, hop=True)
    question = f"Which {subject.kind} is shown at the {where} of the board?"
    return board, Truth(question, subject.name, subject.name, boxes[place], others, hop=False)


def _single(subject: Subject, *, hop: bool) -> tuple[Image.Image, Truth]:
    picture = subject.picture.copy()
    picture.thumbnail((1024, 768))
    if hop and subject.fact is not None:
        question = subject.fact[0].format(f"the {subject.kind} in the picture")
        return picture, Truth(question, subject.fact[1], subject.name, None, (), hop=True)
    return picture, Truth(f"Which {subject.kind} is this?", subject.name, subject.name, None, (), hop=False)


def _counted(board: Image.Image, boxes: list[Any], number: int) -> tuple[Image.Image, Truth]:
    return board, Truth("How many pictures are on the board?", str(number), "", None, tuple(boxes), hop=False)


def _board(
    subjects: list[Subject], columns: int, rows: int, rng: random.Random
) -> tuple[Image.Image, list[tuple[float, float, float, float]]]:
    """The pictures in a grid, not quite in line; the boxes as fractions."""
    width, height = 1200, 900
    board = Image.new("RGB", (width, height), rng.choice([(236, 230, 218), (40, 48, 60), (250, 250, 250)]))
    boxes = []
    for place, subject in enumerate(subjects):
        row, column = divmod(place, columns)
        cell_width, cell_height = width // columns, height // rows
        picture = subject.picture.copy()
        picture.thumbnail((int(cell_width * rng.uniform(0.7, 0.9)), int(cell_height * rng.uniform(0.7, 0.9))))
        x = column * cell_width + rng.randint(8, cell_width - picture.width - 8)
        y = row * cell_height + rng.randint(8, cell_height - picture.height - 8)
        board.paste(picture, (x, y))
        boxes.append((x / width, y / height, (x + picture.width) / width, (y + picture.height) / height))
    return board, boxes
