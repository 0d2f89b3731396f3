"""Drawing for the scenes: backgrounds, clutter, decoys, and flags as they hang on them. Text-free throughout."""

import random
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Rect = tuple[int, int, int, int]
Colour = tuple[int, int, int]

_HALF = [value // 2 for value in range(256)]
_MORE_THAN_HALF = [255 * (value > 127) for value in range(256)]


def muted(rng: random.Random, low: int = 70, high: int = 190) -> Colour:
    """A colour of little saturation: flags stand out from it."""
    grey = rng.randint(low, high)
    r, g, b = (min(255, max(0, grey + rng.randint(-26, 26))) for _ in range(3))
    return r, g, b


@cache
def _grain(scale: int) -> Image.Image:
    """Noise of a grain size, 1536x1536, the same in every process."""
    size = 1536 // scale
    noise = np.random.Generator(np.random.PCG64(scale)).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((1536, 1536), Image.Resampling.BILINEAR)


def background(rng: random.Random, width: int, height: int) -> Image.Image:
    """A gradient, blotches or plain ground, with grain."""
    kind = rng.choice(("gradient", "gradient", "blotches", "bands", "plain"))
    columns, rows = {"gradient": (2, 2), "blotches": (6, 5), "bands": (1, 9), "plain": (1, 1)}[kind]
    base = muted(rng)
    spread = {"gradient": 40, "blotches": 26, "bands": 18, "plain": 0}[kind]
    small = Image.new("RGB", (columns, rows))
    for x in range(columns):
        for y in range(rows):
            shift = rng.randint(-spread, spread)
            r, g, b = (min(235, max(20, v + shift + rng.randint(-6, 6))) for v in base)
            small.putpixel((x, y), (r, g, b))
    ground = small.resize((width, height), Image.Resampling.BICUBIC)
    x, y = rng.randint(0, 1536 - width), rng.randint(0, 1536 - height)
    grain = _grain(rng.choice((1, 2, 3, 8))).crop((x, y, x + width, y + height))
    return Image.blend(ground, grain, rng.uniform(0.02, 0.09))


def clutter(rng: random.Random, image: Image.Image, keep_free: list[Rect], count: int) -> None:
    """Draw discs, rings, triangles, arcs and lines; all but the lines stay off the rectangles to keep free."""
    draw = ImageDraw.Draw(image)
    width, height = image.size
    for _ in range(count):
        colour = muted(rng, 30, 225) if rng.random() < 0.6 else _bright(rng)
        x, y, r = rng.randint(0, width), rng.randint(0, height), rng.randint(10, 44)
        if rng.random() < 0.25:
            end = (x + rng.randint(-300, 300), y + rng.randint(-300, 300))
            draw.line((x, y, *end), fill=colour, width=rng.randint(2, 6))
            continue
        if not any(_near(rect, x, y, r + 8) for rect in keep_free):
            _shape(rng, draw, (x, y), r, colour)


def _near(rect: Rect, x: int, y: int, reach: int) -> bool:
    left, top, right, bottom = rect
    return left - reach < x < right + reach and top - reach < y < bottom + reach


def _shape(rng: random.Random, draw: ImageDraw.ImageDraw, at: tuple[int, int], r: int, colour: Colour) -> None:
    x, y = at
    ring = (x - r, y - r, x + r, y + r)
    match rng.choice(("disc", "ring", "triangle", "arc")):
        case "disc":
            draw.ellipse(ring, fill=colour)
        case "ring":
            draw.ellipse(ring, outline=colour, width=rng.randint(3, 8))
        case "triangle":
            points = [(x + rng.randint(-r, r), y + rng.randint(-r, r)) for _ in range(3)]
            draw.polygon(points, fill=colour)
        case _:
            start = rng.randint(0, 360)
            draw.arc(ring, start, start + rng.randint(90, 250), fill=colour, width=rng.randint(3, 8))


def _bright(rng: random.Random) -> Colour:
    r, g, b = rng.sample((rng.randint(180, 250), rng.randint(20, 120), rng.randint(20, 200)), 3)
    return r, g, b


def decoy(rng: random.Random, width: int, height: int) -> Image.Image:
    """A card of a flag's size that is no flag: checks, dots, rings, hatching, tartan, or a landscape."""
    a, b = _bright(rng), muted(rng, *rng.choice(((35, 70), (205, 225))))
    card = Image.new("RGB", (width, height), b)
    draw = ImageDraw.Draw(card)
    step = max(6, width // rng.randint(9, 13))
    match rng.choice(("checks", "dots", "rings", "hatching", "tartan", "landscape")):
        case "checks":
            for i in range(0, width, step):
                for j in range((i // step) % 2 * step, height, 2 * step):
                    draw.rectangle((i, j, i + step - 1, j + step - 1), fill=a)
        case "dots":
            for i in range(step // 2, width, step):
                for j in range(step // 2, height, step):
                    draw.ellipse((i - step // 3, j - step // 3, i + step // 3, j + step // 3), fill=a)
        case "rings":
            x, y = rng.randint(0, width), rng.randint(0, height)
            for r in range(width * 2, 0, -step):
                draw.ellipse((x - r, y - r, x + r, y + r), fill=a if r // step % 2 else b)
        case "hatching":
            for i in range(-height, width, step):
                draw.line((i, height, i + height, 0), fill=a, width=step // 2)
        case "tartan":
            for i in range(0, width, step):
                draw.line((i, 0, i, height), fill=a, width=step // 3)
            for j in range(0, height, step):
                draw.line((0, j, width, j), fill=_bright(rng), width=step // 3)
        case _:
            _landscape(rng, draw, width, height)
    return card


def _landscape(rng: random.Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    draw.rectangle((0, 0, width, height), fill=(150, 190, rng.randint(200, 235)))
    for level, green in ((0.45, 130), (0.6, 105), (0.75, 80)):
        ridge = [(x * width // 6, int(height * (level + rng.uniform(-0.13, 0.13)))) for x in range(7)]
        draw.polygon([(0, height), *ridge, (width, height)], fill=(rng.randint(60, 110), green, rng.randint(40, 80)))


class Hung(NamedTuple):
    """A picture as it hangs in a scene: RGB patch, mask of what is drawn, and the picture's own rectangle in it."""

    patch: Image.Image
    mask: Image.Image
    inner: Rect


def hang(rng: random.Random, picture: Image.Image, width: int, height: int, tilt: float) -> Hung:
    """The picture scaled, a little brighter or darker, framed or not, and tilted by some degrees."""
    picture = picture.resize(
        (width, height), Image.Resampling.BOX if width < picture.width else Image.Resampling.BICUBIC
    )
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.9, 1.06))
    frame = rng.choice((0, 0, max(2, width // 60), max(3, width // 36)))
    patch = Image.new("RGB", (width + 2 * frame, height + 2 * frame), rng.choice(((245, 245, 240), (40, 34, 30))))
    patch.paste(picture, (frame, frame))
    mask = Image.new("L", patch.size, 255)
    if not tilt:
        return Hung(patch, mask, (frame, frame, frame + width, frame + height))
    inner = Image.new("L", patch.size, 0)
    inner.paste(255, (frame, frame, frame + width, frame + height))
    turned = [im.rotate(tilt, Image.Resampling.BILINEAR, expand=True) for im in (patch, mask, inner)]
    box = turned[2].point(_MORE_THAN_HALF).getbbox()
    if box is None:
        raise ValueError(f"nothing is left of a picture of {width}x{height} pixels")
    return Hung(turned[0], turned[1], box)


def put(rng: random.Random, image: Image.Image, hung: Hung, at: tuple[int, int]) -> None:
    """Paste it, its upper left corner at a point, sometimes with a soft shadow."""
    if rng.random() < 0.5:
        shift, reach = max(2, hung.patch.width // 50), max(3, hung.patch.width // 40)
        shade = Image.new("L", (hung.patch.width + 4 * reach, hung.patch.height + 4 * reach), 0)
        shade.paste(hung.mask.point(_HALF), (2 * reach, 2 * reach))
        shade = shade.filter(ImageFilter.BoxBlur(reach))
        image.paste((10, 10, 14), (at[0] + shift - 2 * reach, at[1] + shift - 2 * reach), shade)
    image.paste(hung.patch, at, hung.mask)
