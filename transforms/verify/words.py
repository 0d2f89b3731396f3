"""English number words as digits."""

import re
from typing import Final

_ONES: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen""".split()  # noqa: SIM905
_UNITS: Final = {word: value for value, word in enumerate(_ONES)}
_TENS: Final = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
NUMBER_WORDS: Final = frozenset({*_UNITS, *_TENS, *_SCALES, "hundred", "dozen"})
"""Every word that a spelt number is made of."""

_WORD: Final = "|".join(sorted(sorted(NUMBER_WORDS), key=len, reverse=True))
_STARTS: Final = "|".join(
    sorted([*_UNITS, *_TENS, "dozen", "a dozen", "a hundred", "a thousand", "a million"], key=len)[::-1]
)
_RUN: Final = re.compile(rf"\b(?:{_STARTS})\b(?:[ -](?:and )?(?:{_WORD})\b){{0,15}}", re.IGNORECASE)


def digits_for_words(text: str) -> str:
    """The text with every run of number words written in digits; `five six` stays two numbers."""
    return _RUN.sub(lambda match: " ".join(_numbers(match[0].lower())), text)


def _numbers(run: str) -> list[str]:
    """The numbers that a run of words spells: `twenty one` is one, `five six` are two."""
    done: list[str] = []
    total, group, last = 0, 0, 0
    started = False

    def close() -> None:
        if started:
            done.append(str(total + group))

    for word in re.split(r"[ -]+", run):
        if word == "and":
            if not started or last not in {100, *_SCALES.values()}:
                close()
                done.append("and")
                total, group, last, started = 0, 0, 0, False
            continue
        if word == "a":
            continue
        value = _UNITS.get(word, _TENS.get(word, 0))
        if word in _SCALES:
            total, group, last = total + (group or 1) * _SCALES[word], 0, _SCALES[word]
        elif word == "hundred":
            group, last = (group or 1) * 100, 100
        elif word == "dozen":
            group, last = (group or 1) * 12, 12
        else:
            joins = last in {0, 100, *_SCALES.values()} or (20 <= last < 100 and last % 10 == 0 and 0 < value < 10)
            if started and not joins:
                close()
                total, group = 0, 0
            group, last = group + value, value or -1
        started = True
    close()
    return done
