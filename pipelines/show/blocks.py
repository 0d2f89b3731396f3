"""A picture in a terminal: two pixels a character."""

from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text


def in_blocks(image: Image.Image, width: int = 40, height: int = 24) -> Text:
    """The picture, reduced to so many pixels at most, as half blocks in colours."""
    small = image.convert("RGB")
    small.thumbnail((width, height))
    text = Text()
    for y in range(0, small.height - 1, 2):
        for x in range(small.width):
            upper, lower = small.getpixel((x, y)), small.getpixel((x, y + 1))
            assert isinstance(upper, tuple)
            assert isinstance(lower, tuple)
            text.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        text.append("\n")
    return text
