"""Recall and false alarms of decontamination by transform, and its speed: the tables of `docs/decontamination.md`.

    GOG_REAL_DATA=... python tests/bench/bench_decontamination.py [--quick] [--out FILE]

Images. The photographs of LiveVQA in `GOG_REAL_DATA` stand as the benchmark, among 10,000 pictures of noise with the
spectrum of photographs, so that the index is as full as in use. Recall: twins of all photographs are asked for. False
alarms: each photograph is asked for, transformed in the same ways, while the index holds the others (halves, both
ways), and so is each ninth of a photograph while the index holds other ninths of the same photograph: another picture
with the same light, grain and subject.

Speed. A million fingerprints against 10,000 images, on as many cores as the process may use (two threads).
"""

import argparse
import io
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from gog.transforms.atlas.pages import gallery_pictures
from gog.transforms.atlas.rows import atlas_rows
from gog.transforms.duplicates.benchmarks.images import ImageIndex
from gog.transforms.duplicates.benchmarks.index import BenchmarkIndex, BenchmarkRow
from gog.transforms.duplicates.benchmarks.questions import QuestionIndex, naming, tokens
from gog.transforms.duplicates.benchmarks.settings import OverlapSettings
from gog.transforms.duplicates.fingerprints import (
    SIDE,
    SIZE,
    TINT_SIDE,
    Small,
    Thumbs,
    fingerprints,
    thumbnail,
)
from gog.transforms.images import decode_image

LEAST: Final = OverlapSettings().image
LARGEST: Final = 1600
"""Pixels of the longer side of the photographs as they are asked for: it saves time, and an index sees 64."""

Picture = Image.Image
Change = Callable[[Picture, random.Random], Picture]


def say(text: str) -> None:
    """Progress, apart from the tables."""
    sys.stderr.write(text + "\n")


def saved(kind: str, quality: int) -> Change:
    """Written with loss and read again."""

    def change(image: Picture, _: random.Random) -> Picture:
        file = io.BytesIO()
        image.save(file, kind, quality=quality)
        return decode_image(file.getvalue())

    return change


def scaled(factor: float) -> Change:
    """Resized, both sides alike."""
    return lambda image, _: image.resize(
        (max(32, round(image.width * factor)), max(32, round(image.height * factor))), Image.Resampling.BICUBIC
    )


def squashed(image: Picture, _: random.Random) -> Picture:
    """Resized to a square, as many training sets are."""
    return image.resize((224, 224), Image.Resampling.BICUBIC)


def cropped(across: float, down: float | None = None) -> Change:
    """A part of so much of each side, at a random place."""

    def change(image: Picture, rng: random.Random) -> Picture:
        width, height = round(image.width * across), round(image.height * (across if down is None else down))
        left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
        return image.crop((left, top, left + width, top + height))

    return change


def between(least: float, most: float) -> Change:
    """A part of a random share of each side, at a random place."""
    return lambda image, rng: cropped(rng.uniform(least, most), rng.uniform(least, most))(image, rng)


def one_side(image: Picture, rng: random.Random) -> Picture:
    """Cut off at the top, the bottom, left or right, down to 80%, as captions and logos are."""
    width, height = image.size
    box = [0, 0, width, height]
    side = rng.randrange(4)
    box[side] += round((0.2 if side < 2 else -0.2) * (width, height)[side % 2])
    return image.crop((box[0], box[1], box[2], box[3]))


def mirror(image: Picture, _: random.Random) -> Picture:
    """Mirrored, left for right."""
    return ImageOps.mirror(image)


def framed(image: Picture, rng: random.Random) -> Picture:
    """With a bar of 10% to 20% below, with a line of text in it."""
    bar = round(image.height * rng.uniform(0.1, 0.2))
    canvas = Image.new("RGB", (image.width, image.height + bar), "white")
    canvas.paste(image)
    ImageDraw.Draw(canvas).text((20, image.height + bar // 3), "A caption of the picture above", fill="black")
    return canvas


def marked(image: Picture, rng: random.Random) -> Picture:
    """With a bright box over 20% x 10% of it at a random place, as a logo or a watermark lies."""
    copy = image.copy()
    width, height = image.width // 5, image.height // 10
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    ImageDraw.Draw(copy).rectangle((left, top, left + width, top + height), fill=(240, 240, 230))
    return copy


def warmer(image: Picture, _: random.Random) -> Picture:
    """Red up and blue down by a tenth."""
    bands = zip(image.split(), (1.1, 1.0, 0.9), strict=True)
    return Image.merge("RGB", [band.point([min(255, int(v * factor)) for v in range(256)]) for band, factor in bands])


def after(*changes: Change) -> Change:
    """One after the other."""

    def change(image: Picture, rng: random.Random) -> Picture:
        for each in changes:
            image = each(image, rng)
        return image

    return change


WANTED: Final[dict[str, Change]] = {
    "unchanged": lambda image, _: image,
    "JPEG, quality 90": saved("JPEG", 90),
    "JPEG, quality 70": saved("JPEG", 70),
    "JPEG, quality 50": saved("JPEG", 50),
    "JPEG, quality 30": saved("JPEG", 30),
    "JPEG, quality 10": saved("JPEG", 10),
    "WebP, quality 50": saved("WEBP", 50),
    "resized to 150%": scaled(1.5),
    "resized to 50%": scaled(0.5),
    "resized to 25%": scaled(0.25),
    "resized to 10%": scaled(0.1),
    "resized to 224 x 224": squashed,
    "mirrored": mirror,
    "cropped to 95% of each side": cropped(0.95),
    "cropped to 90% of each side": cropped(0.9),
    "cropped to 80% of the area": cropped(0.8**0.5),
    "cropped to 85% of each side": cropped(0.85),
    "cropped to 80% of each side": cropped(0.8),
    "cropped to 80-100%, each side by itself": between(0.8, 1.0),
    "one side cut off by 20%": one_side,
    "crop 80%, mirrored": after(cropped(0.8), mirror),
    "crop 80%, JPEG 50": after(cropped(0.8), saved("JPEG", 50)),
    "crop 80%, resized to 25%": after(cropped(0.8), scaled(0.25)),
    "crop 80%, mirrored, 50%, JPEG 50": after(cropped(0.8), mirror, scaled(0.5), saved("JPEG", 50)),
    "crop 80-100%, mirrored, 25%, JPEG 30": after(between(0.8, 1.0), mirror, scaled(0.25), saved("JPEG", 30)),
    "the benchmark's is the 80% crop": lambda image, _: image,
}
"""What must be found. The last is asked of an index of crops."""

BEYOND: Final[dict[str, Change]] = {
    "brighter by half": lambda image, _: ImageEnhance.Brightness(image).enhance(1.5),
    "darker by half": lambda image, _: ImageEnhance.Brightness(image).enhance(0.5),
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "warmer": warmer,
    "a logo over 2% of it": marked,
    "a bar with a caption below": framed,
    "turned by 2 degrees": lambda image, _: image.rotate(2, Image.Resampling.BICUBIC),
    "turned by 5 degrees": lambda image, _: image.rotate(5, Image.Resampling.BICUBIC),
    "turned by 90 degrees": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "upside down": lambda image, _: ImageOps.flip(image),
    "cropped to 75% of each side": cropped(0.75),
    "cropped to 70% of each side": cropped(0.7),
    "cropped to 60% of each side": cropped(0.6),
}
"""What nobody promised."""
CROPS: Final = "the benchmark's is the 80% crop"


def photographs(data: Path) -> list[Picture]:
    """The pictures of LiveVQA, news and video first, at most `LARGEST` a side."""
    files = sorted((data / "livevqa").glob("*/*_im*/**/*.*"))
    found = [decode_image(file.read_bytes()) for file in files if file.suffix in {".jpg", ".jpeg", ".png", ".webp"}]
    for image in found:
        image.thumbnail((LARGEST, LARGEST))
    return found


def noise(count: int, seed: int) -> Thumbs:
    """Pictures of noise whose amplitude falls with frequency as that of photographs does, often brighter at the top."""
    rng = np.random.default_rng(seed)
    across = np.fft.rfftfreq(SIDE) * SIDE
    down = np.fft.fftfreq(SIDE)[:, None] * SIDE
    made = np.empty((count, SIDE, SIDE), dtype=np.uint8)
    ramp = np.linspace(1, -1, SIDE)[None, :, None]
    for start in range(0, count, 500):
        n = min(500, count - start)
        stretch, slope = rng.uniform(0.7, 1.4, (n, 1, 1)), rng.uniform(0.9, 1.6, (n, 1, 1))
        distance = np.sqrt((down * stretch) ** 2 + (across / stretch) ** 2)
        distance[:, 0, 0] = 1
        waves = rng.normal(size=(n, SIDE, SIDE // 2 + 1)) + 1j * rng.normal(size=(n, SIDE, SIDE // 2 + 1))
        waves /= distance**slope
        waves[:, 0, 0] = 0
        fields = np.fft.irfft2(waves, s=(SIDE, SIDE))
        fields = fields / fields.std(axis=(1, 2), keepdims=True) + ramp * rng.normal(0.3, 0.6, (n, 1, 1))
        made[start : start + n] = np.clip(128 + 45 * fields, 0, 255)
    return made


def indexed(smalls: Sequence[Small], others: Thumbs) -> ImageIndex:
    """An index whose first images are these."""
    grey = np.concatenate([np.stack([small.grey for small in smalls]), others])
    tint = np.full((len(grey), TINT_SIDE, TINT_SIDE, 2), 128, dtype=np.uint8)
    tint[: len(smalls)] = np.stack([small.tint for small in smalls])
    return ImageIndex(grey, tint)


def ninths(images: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Two sets of parts of the photographs, like the two colours of a chessboard of 3 x 3."""
    sets: tuple[list[Picture], list[Picture]] = ([], [])
    for image in images:
        width, height = image.width // 3, image.height // 3
        for place in range(9):
            left, top = place % 3 * width, place // 3 * height
            sets[place % 2].append(image.crop((left, top, left + width, top + height)))
    return sets


def share(part: int, whole: int) -> str:
    """As a percentage with its counts."""
    return f"{100 * part / whole:.1f}% ({part:,} of {whole:,})"


def image_table(images: list[Picture], draws: int, others: Thumbs) -> Iterator[str]:
    """Recall and false alarms by transform."""
    smalls = [thumbnail(image) for image in images]
    rng = random.Random(7)
    everything = indexed(smalls, others)
    crops = indexed([thumbnail(cropped(0.8)(image, rng)) for image in images], others)
    halves = [indexed(smalls[odd::2], others) for odd in (0, 1)]
    white, black = ninths(images)
    tiles = indexed([thumbnail(tile) for tile in white], others)
    yield "| transform | recall | false alarms, left out | false alarms, ninths |"
    yield "| --- | --- | --- | --- |"
    sums = [0] * 4
    for name, change in {**WANTED, **BEYOND}.items():
        began = time.perf_counter()
        found = asked = wrong = 0
        index = crops if name == CROPS else everything
        for number, image in enumerate(images):
            for _ in range(draws):
                small = thumbnail(change(image, rng))
                asked += 1
                found += any(match.image == number for match in index.find_small(small, LEAST))
                wrong += bool(halves[1 - number % 2].find_small(small, LEAST))
        wrong_tiles = sum(bool(tiles.find_small(thumbnail(change(tile, rng)), LEAST)) for tile in black)
        sums = [a + b for a, b in zip(sums, (wrong, asked, wrong_tiles, len(black)), strict=True)]
        if name == next(iter(BEYOND)):
            yield "| *not promised:* | | | |"
        yield f"| {name} | {share(found, asked)} | {share(wrong, asked)} | {share(wrong_tiles, len(black))} |"
        say(f"{name}: {found} of {asked}, {wrong}, {wrong_tiles}; {time.perf_counter() - began:.0f} s")
    yield f"| all | | {share(sums[0], sums[1])} | {share(sums[2], sums[3])} |"


def other_false_alarms(images: list[Picture], others: Thumbs, count: int) -> Iterator[str]:
    """Pictures of other worlds against the photographs, and scenes of the bundled world against each other."""
    everything = indexed([thumbnail(image) for image in images], others)
    fresh = noise(count, seed=99)
    tint = np.full((TINT_SIDE, TINT_SIDE, 2), 128, dtype=np.uint8)
    wrong = sum(bool(everything.find_small(Small(grey, tint), LEAST)) for grey in fresh)
    yield f"- other noise against photographs and noise: {share(wrong, count)}"
    scenes = [thumbnail(decode_image(row.image)) for row in atlas_rows(200, 5)]
    held_out = [thumbnail(decode_image(row.image)) for row in atlas_rows(200, 6, held_out=True)]
    wrong = sum(bool(everything.find_small(small, LEAST)) for small in scenes)
    yield f"- scenes of the bundled world against photographs and noise: {share(wrong, len(scenes))}"
    index = indexed(held_out, others)
    wrong = sum(bool(index.find_small(small, LEAST)) for small in scenes)
    yield f"- scenes of the bundled world against its held-out scenes: {share(wrong, len(scenes))}"
    flags = [thumbnail(picture.image.convert("RGB")) for picture in gallery_pictures()]
    index = indexed(flags[::2], others)
    wrong = sum(bool(index.find_small(small, LEAST)) for small in flags[1::2])
    yield f"- flags, each by itself, against other countries' flags: {share(wrong, len(flags[1::2]))}"


def published_questions(data: Path) -> tuple[list[str], list[str]]:
    """Questions of LiveVQA and of DynVQA."""
    live = []
    for file in sorted((data / "livevqa").glob("*/benchmark.json")):
        for row in json.loads(file.read_text("utf-8")):
            live += [row[level]["question"] for level in ("level1_qa", "level2_qa")]
    lines = [
        line for file in sorted((data / "dynvqa").glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()
    ]
    return list(dict.fromkeys(live)), list(dict.fromkeys(json.loads(line)["question"] for line in lines))


def reworded(question: str, how: str, rng: random.Random) -> str:
    """The question in other words."""
    words = question.split()
    match how:
        case "other case and punctuation":
            return question.rstrip("?").lower().replace(",", "") + " ?!"
        case "wrapped in an instruction":
            return f"Look at the picture and think before you answer. {question} Answer in a few words."
        case "other beginning":
            return "Please tell me, with a search where you need one, " + " ".join(words[2:])
        case "two words replaced":
            names = naming(question)
            free = [at for at, word in enumerate(words) if not names & frozenset(tokens(word))]
            for at in rng.sample(free, min(2, len(free))):
                words[at] = "something"
            return " ".join(words)
        case _:
            return question


HOW: Final = ("as it is", "other case and punctuation", "wrapped in an instruction", "other beginning",
              "two words replaced")  # fmt: skip
TEMPLATES: Final = (
    "What is in this picture?", "What is the name of this building?", "Who is the person in the image?",
    "In which year was this building constructed?", "What is the closest parent taxonomy of this plant?",
    "Based on the provided image, who is the person speaking at the event?",
    "Based on the provided image, what is the location where the protest is taking place?",
    "What is the name of the person who is shown in the center of this picture?",
    "Which country does the flag in the top left corner of the image belong to?", "What event is taking place?",
    "What is the official title of the paper shown in the figure?", "Which paper does this figure come from?",
    "图中的建筑是哪一年建成的？", "这张图片中的人物是哪个国家的总统？", "图片中的动物属于哪个科？",
    "这座桥的总长度是多少米？",
)  # fmt: skip


def question_tables(images: list[Picture], live: list[str], dyn: list[str]) -> Iterator[str]:
    """Recall by rewording, and what left-out questions and templates find."""
    rng = random.Random(11)
    asked = live + dyn
    index = QuestionIndex(asked)
    rows = [
        BenchmarkRow("livevqa", str(number), question, image=_bytes(images[number % len(images)]))
        for number, question in enumerate(asked)
    ]
    benchmark = BenchmarkIndex.build(rows)
    twin = WANTED["crop 80%, mirrored, 50%, JPEG 50"]
    named = [n for n, q in enumerate(asked) if any(m.question == n and m.alone for m in index.find(q))]
    yield "| rewording | found by text | by text alone, of those with names | with a twin of the image |"
    yield "| --- | --- | --- | --- |"
    for how in HOW:
        texts = [reworded(question, how, rng) for question in asked]
        matches = [{match.question: match.alone for match in index.find(text)} for text in texts]
        found = sum(number in match for number, match in enumerate(matches))
        alone = sum(matches[number].get(number, False) for number in named)
        both = sum(
            benchmark.check(text, [twin(images[number % len(images)], rng)]) is not None
            for number, text in enumerate(texts)
        )
        yield f"| {how} | {share(found, len(asked))} | {share(alone, len(named))} | {share(both, len(asked))} |"
        say(f"{how}: {found}, {alone} of {len(named)}, {both}")
    yield ""
    yield "| asked | of | found by text | overlap by text alone |"
    yield "| --- | --- | --- | --- |"
    mixed = rng.sample(live, len(live))
    atlas = list(dict.fromkeys(row.question for row in atlas_rows(1000, 3)))
    for what, questions, whole in (
        ("half of LiveVQA", mixed[::2], mixed[1::2]),
        ("the other half", mixed[1::2], mixed[::2]),
        ("DynVQA", dyn, live),
        ("LiveVQA", live, dyn),
        ("templates", list(TEMPLATES), [*asked, *TEMPLATES]),
        ("the bundled world", atlas, asked),
    ):
        other = QuestionIndex(whole)
        hits = [other.find(question) for question in questions]
        of = {"templates": "all questions and the templates", "the bundled world": "all questions"}.get(what, "")
        of = of or ("DynVQA" if whole is dyn else "LiveVQA" if whole is live else "the rest")
        alone = sum(any(match.alone for match in matches) for matches in hits)
        yield f"| {what} | {of} | {share(sum(map(bool, hits)), len(hits))} | {share(alone, len(hits))} |"


def _bytes(image: Picture) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def speed(images: list[Picture], asked: int, others: Thumbs) -> Iterator[str]:
    """Seconds of each part of the search."""
    began = time.perf_counter()
    index = indexed([thumbnail(image) for image in images], others)
    made = time.perf_counter() - began
    base = fingerprints(noise(20_000, seed=5))
    photos = fingerprints(
        np.stack([thumbnail(tile).grey for tile in [tile for tiles in ninths(images) for tile in tiles]])
    )
    base = np.concatenate([base, np.repeat(photos, 10, axis=0)])
    rng = np.random.default_rng(1)
    queries = np.empty((asked, SIZE), dtype=np.float32)
    for start in range(0, asked, 20_000):
        # Each is a mixture of two pictures, so that a million differ.
        pair = base[rng.integers(0, len(base), (2, min(20_000, asked - start)))]
        mixed = pair[0] + rng.normal(0, 0.7, (pair.shape[1], 1)).astype(np.float32) * pair[1]
        queries[start : start + 20_000] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        parts = np.array_split(queries, 2)
        found = list(pool.map(index.candidates, parts))
    wall = time.perf_counter() - began
    pairs = sum(len(part.asked) for part in found)
    smalls = noise(400, seed=77)
    tint = np.full((TINT_SIDE, TINT_SIDE, 2), 128, dtype=np.uint8)
    began = time.perf_counter()
    for grey in smalls:
        index.find_small(Small(grey, tint), LEAST)
    each = (time.perf_counter() - began) / len(smalls)
    yield "| what | found |"
    yield "| --- | --- |"
    yield f"| making the index of {len(index):,} images from small pictures | {made:.1f} s |"
    yield f"| {asked:,} fingerprints against it, two threads | {wall:.1f} s |"
    yield f"| ... pairs whose details would be compared | {pairs:,} |"
    yield f"| a new image at ingest, in both directions, once it is small | {1000 * each:.2f} ms |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one draw a photograph, and a tenth of the rest")
    parser.add_argument("--out", type=Path, help="write the tables here as well")
    options = parser.parse_args()
    if not os.environ.get("GOG_REAL_DATA"):
        parser.error("GOG_REAL_DATA is not set: it names a folder with the photographs of LiveVQA")
    data = Path(os.environ["GOG_REAL_DATA"])
    images = photographs(data)
    scale = 10 if options.quick else 1
    others = noise(10_000 // scale - len(images), seed=3)
    say(f"{len(images)} photographs, {len(others):,} others")
    sections: list[tuple[str, Iterator[Any]]] = [
        ("Speed", speed(images, 1_000_000 // scale, others)),
        ("Questions", question_tables(images, *published_questions(data))),
        ("Images", image_table(images, 1 if options.quick else 5, others)),
        ("Other pictures", other_false_alarms(images, others, 2000 // scale)),
    ]
    text = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
