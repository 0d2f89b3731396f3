"""Drawing on paper that grows: fonts, wrapped text, badges."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from gog.pipelines.lake.one_line import one_line

PAPER: Final = "#ffffff"
INK: Final = "#1f2328"
QUIET: Final = "#59636e"
LINE: Final = "#d1d9e0"
SHADE: Final = "#f6f8fa"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass
class Pen:
    """Draws from the top to the bottom of a piece of paper that grows."""

    width: int
    paper: Image.Image
    background: str
    y: int = 0

    @classmethod
    def on(cls, width: int, background: str = PAPER) -> "Pen":
        return cls(width, Image.new("RGB", (width, 200), background), background)

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.paper)

    def room(self, height: int) -> None:
        """Make the paper long enough for so many more pixels."""
        if self.y + height > self.paper.height:
            longer = Image.new("RGB", (self.width, self.y + height + 400), self.background)
            longer.paste(self.paper, (0, 0))
            self.paper = longer

    def write(
        self, text: str, size: int, *, x: int = 0, width: int, fill: str = INK, lines: int = 4, bold_step: int = 0
    ) -> None:
        """Wrapped text, at most so many lines; moves down by its height. With a step from line to line it is bold."""
        letters, step = font(size, bold=bold_step > 0), bold_step or round(size * 1.38)
        for line in wrapped(text, letters, width, lines):
            self.room(step)
            self.draw.text((x, self.y), line, fill, letters)
            self.y += step

    def cut(self) -> Image.Image:
        """The paper down to where the pen is."""
        return self.paper.crop((0, 0, self.width, self.y))


@cache
def font(size: int, *, bold: bool = False) -> Font:
    """DejaVu Sans, which knows many scripts, where the system has it; else the font inside Pillow."""
    try:
        return ImageFont.truetype("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)


def wrapped(text: str, font: Font, width: int, lines: int) -> list[str]:
    """The text as at most `lines` lines of `width` pixels; words that are too long break, what is left out is "…"."""
    words = one_line(text, 2000).split(" ")
    done: list[str] = []
    line = ""
    while words:
        word = words.pop(0)
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
        elif line:
            done.append(line)
            line = ""
            words.insert(0, word)
        else:
            fits = max(1, next((n for n in range(1, len(word)) if font.getlength(word[: n + 1]) > width), len(word)))
            done.append(word[:fits])
            words.insert(0, word[fits:])
        if len(done) == lines:
            break
    else:
        return [*done, line] if line else done
    last = done[-1]
    while last and font.getlength(last + " …") > width:
        last = last[:-1]
    return [*done[:-1], f"{last} …"]


def disc(paper: Image.Image, at: tuple[int, int], text: str, fill: str, radius: int) -> None:
    """A number on a coloured disc with a white rim; `at` is its middle."""
    x, y = at
    _field(paper, (x - radius - 1, y - radius - 1), (2 * radius + 3, 2 * radius + 3), PAPER)
    _field(paper, (x - radius, y - radius), (2 * radius + 1, 2 * radius + 1), fill)
    ImageDraw.Draw(paper).text((x + 0.5, y + 0.5), text, PAPER, font(15, bold=True), anchor="mm")


def badge_width(text: str, size: int) -> int:
    return round(font(size, bold=True).getlength(text)) + 20


def badge(paper: Image.Image, at: tuple[int, int], text: str, fill: str, size: int) -> None:
    """A word on a coloured field; `at` is its upper left corner."""
    width, height = badge_width(text, size), round(size * 1.7)
    _field(paper, at, (width, height), fill)
    middle = at[0] + width / 2, at[1] + height / 2
    ImageDraw.Draw(paper).text(middle, text, PAPER, font(size, bold=True), anchor="mm")


def _field(paper: Image.Image, at: tuple[int, int], size: tuple[int, int], fill: str) -> None:
    """A field with round ends and smooth edges."""
    fine = Image.new("L", (size[0] * 4, size[1] * 4), 0)
    ImageDraw.Draw(fine).rounded_rectangle((0, 0, fine.width - 1, fine.height - 1), min(fine.size) // 2, fill=255)
    paper.paste(fill, (at[0], at[1], at[0] + size[0], at[1] + size[1]), fine.resize(size, Image.Resampling.LANCZOS))
