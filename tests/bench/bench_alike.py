"""Near-duplicates among real pictures: how many of resizes and crops are found, what is found wrongly, and the cost.

    python tests/bench/bench_alike.py FOLDER [FOLDER ...]

The folders hold pictures of packages, for example unpacked `tuxpaint-stamps-default`, `gnome-backgrounds`,
`mate-backgrounds` and `ukui-wallpapers`. Pairs that are found among the pictures themselves are listed, to be looked
at: packages hold the same wallpaper in several sizes. `before` is what perceptual hashes alone call near.
"""

import argparse
import random
import sys
import time
from itertools import count
from pathlib import Path
from typing import Final

from PIL import Image

from gog.transforms.duplicates.fingerprints import thumbnail
from gog.transforms.duplicates.hashes import DISTANCE
from gog.transforms.duplicates.pictures import Pictures
from gog.transforms.duplicates.window import Shown
from gog.transforms.images import ImageError, ImageLimits, is_blank, load_image, phash

Picture = Image.Image

DRAWN: Final = 40
LARGEST: Final = 1600


def resized(image: Picture, draw: random.Random) -> Picture:
    """Each side made 40% to 150% of what it was, alike."""
    scale = draw.uniform(0.4, 1.5)
    size = max(28, round(image.width * scale)), max(28, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def halved(image: Picture, draw: random.Random) -> Picture:
    """A half of each side, anywhere."""
    width, height = image.width // 2, image.height // 2
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def half_area(image: Picture, draw: random.Random) -> Picture:
    """A half of the area, in the picture's shape, anywhere."""
    width, height = round(image.width * 0.5**0.5), round(image.height * 0.5**0.5)
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def centre(image: Picture, draw: random.Random) -> Picture:
    """The middle half of each side."""
    width, height = image.width // 2, image.height // 2
    return image.crop((width // 2, height // 2, width // 2 + width, height // 2 + height))


def left_half(image: Picture, draw: random.Random) -> Picture:
    """The left half."""
    return image.crop((0, 0, image.width // 2, image.height))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    files = sorted(
        file
        for folder in options.folders
        for file in folder.rglob("*")
        if file.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"}
    )
    kept: dict[str, Picture] = {}
    hashes: dict[str, int] = {}
    spent = {"load": 0.0, "find": 0.0}
    pictures, found, before = Pictures(kept.__getitem__), [], 0
    for file in files:
        began = time.process_time()
        try:
            image = load_image(file.read_bytes(), ImageLimits()).image
        except ImageError:
            continue
        if is_blank(image):
            continue
        hashed = phash(image)
        loaded = time.process_time()
        name, small = str(file), thumbnail(image)
        image.thumbnail((LARGEST, LARGEST))
        kept[name] = image
        (like,) = pictures.like([Shown(len(kept), name, int(hashed, 16), small)])
        found += [(name, other) for other in like]
        spent["load"] += loaded - began
        spent["find"] += time.process_time() - loaded
        before += any((int(hashed, 16) ^ other).bit_count() <= DISTANCE for other in hashes.values())
        hashes[name] = int(hashed, 16)
    say = sys.stdout.write
    each = {what: 1000 * seconds / len(kept) for what, seconds in spent.items()}
    say(f"{len(kept)} pictures: {each['load']:.1f} ms each to decode and hash, {each['find']:.1f} to find alike ones\n")
    say(f"near an earlier one by the hash alone: {before}; by pixels: {len({name for name, _ in found})}\n")
    for name, other in found:
        say(f"  {name} = {other}\n")
    same: dict[str, set[str]] = {name: {name} for name in kept}
    for name, other in found:
        same[name].add(other)
        same[other].add(name)
    draw, places = random.Random(options.seed), count(len(kept))
    chosen = draw.sample(sorted(kept), DRAWN)
    say("| change | found | by the hash alone | another found |\n| --- | --- | --- | --- |\n")
    for change in (resized, halved, half_area, centre, left_half):
        counts = [0, 0, 0]
        for name in chosen:
            kept["new"] = change(kept[name], draw)
            hashed = phash(kept["new"])
            # An earlier one of the same name is taken for what it shows now, and is no find.
            new = Shown(next(places), "new", int(hashed, 16), thumbnail(kept["new"]))
            others = set(next(pictures.like([new]))) - {"new"}
            counts[0] += bool(others & same[name])
            counts[1] += (int(hashed, 16) ^ hashes[name]).bit_count() <= DISTANCE
            counts[2] += bool(others - same[name])
        say(f"| {(change.__doc__ or '').rstrip('.')} | {counts[0]} of {DRAWN} | {counts[1]} | {counts[2]} |\n")


if __name__ == "__main__":
    main()
