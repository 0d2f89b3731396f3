"""Where a question names its pictures: placeholders of datasets, as the numbers that an episode gives them."""

import re
from typing import Final

_PLACEHOLDER: Final = re.compile(r"<(?:image|video|audio)>", re.IGNORECASE)
_NUMBERED: Final = re.compile(r"<\s*(?:image|img)[ _-]?(\d{1,3})\s*>", re.IGNORECASE)


def without_placeholders(question: str, images: int) -> str:
    """The question with its placeholders as what they stand for.

    Of one picture they say nothing and leave. Of several, `<image>` is the next picture each time, and `<image 2>` is
    the second: both become the number of the image in the episode, which counts from 0. Those that stand before all
    else leave, since pictures come in their order; where there are more or fewer than pictures they leave as well, and
    numbers that name no picture stay as they are.
    """
    if images > 1:
        numbers = [int(number) for number in _NUMBERED.findall(question)]
        first = 0 if 0 in numbers else 1
        if numbers and max(numbers) < images + first:
            question = _NUMBERED.sub(lambda found: f"image {int(found[1]) - first}", question)
        if len(_PLACEHOLDER.findall(question)) == images and not _leads(question, images):
            order = iter(range(images))
            question = _PLACEHOLDER.sub(lambda found: f"image {next(order)}", question)
    return _PLACEHOLDER.sub(" ", question)


def _leads(question: str, images: int) -> bool:
    """Whether all of them stand before the question's first word."""
    return not any(part.strip() for part in _PLACEHOLDER.split(question)[:images])
