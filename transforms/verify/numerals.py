"""Numbers in words of German, Spanish, French and Arabic, and in Chinese numerals: as digits, or not at all.

Left out are words that are another number or another thing elsewhere (`once`, `seize`, `elf`, `cent`, `sept`, `mil`)
and numerals that are read in two ways (`三百二` is 320 or 302, `两三` two or three).
"""

import re
from functools import lru_cache
from typing import Final

from gog.transforms.verify.normalise import fold

_FROM_ZERO: Final = (
    "null eins zwei drei vier funf sechs sieben acht neun zehn - zwolf dreizehn vierzehn funfzehn sechzehn siebzehn"
    " achtzehn neunzehn zwanzig",
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez - doce trece catorce quince dieciseis diecisiete"
    " dieciocho diecinueve veinte",
    "zero - deux trois quatre cinq six - huit neuf dix onze douze treize quatorze quinze - dix-sept dix-huit"
    " dix-neuf vingt",
    "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة عشرة",
)
_OTHERS: Final = {
    **dict.fromkeys(("trente", "treinta", "dreissig", "ثلاثون"), 30),
    **dict.fromkeys(("quarante", "cuarenta", "vierzig", "أربعون"), 40),
    **dict.fromkeys(("cinquante", "cincuenta", "funfzig", "خمسون"), 50),
    **dict.fromkeys(("soixante", "sesenta", "sechzig", "ستون"), 60),
    **dict.fromkeys(("soixante-dix", "setenta", "siebzig", "سبعون"), 70),
    **dict.fromkeys(("quatre-vingts", "quatre-vingt", "ochenta", "achtzig", "ثمانون"), 80),
    **dict.fromkeys(("quatre-vingt-dix", "noventa", "neunzig", "تسعون"), 90),
    **dict.fromkeys(("cien", "hundert", "einhundert", "مئة", "مائة"), 100),
    "اثنين": 2,
    "عشرون": 20,
}
_WORDS: Final = {
    fold(word): value
    for word, value in [
        *((word, value) for words in _FROM_ZERO for value, word in enumerate(words.split()) if word != "-"),
        *_OTHERS.items(),
    ]
}
_WORD: Final = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+){0,2})(?:\s+(.*))?")

_DIGITS: Final = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_TENS: Final = {"十": 10, "百": 100, "千": 1000}
_MYRIADS: Final = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_NUMERAL: Final = re.compile(f"[{''.join([*_DIGITS, *_TENS, *_MYRIADS])}]{{1,24}}")


@lru_cache(maxsize=1024)
def in_digits(text: str) -> str:
    """The text with the number that it begins with in digits; empty where it begins with none that is sure."""
    text = text.strip()
    numeral = _NUMERAL.match(text)
    if numeral is not None:
        value = _value(numeral[0])
        return "" if value is None else f"{value}{text[numeral.end() :]}"
    word = _WORD.fullmatch(text)
    value = _WORDS.get(fold(word[1])) if word is not None else None
    return f"{value} {word[2] or ''}".strip() if word is not None and value is not None else ""


def _value(numeral: str) -> int | None:
    """What a numeral of Chinese characters is; None where it is read in more ways than one."""
    if all(char in _DIGITS for char in numeral):
        # 一九八四 is written digit by digit, 两三 is two or three.
        sure = numeral not in ("两", "兩") and len(numeral) in (1, 4)
        return int("".join(str(_DIGITS[char]) for char in numeral)) if sure else None
    total, largest = 0, 10**12
    for part in re.findall(r"[^万萬亿億]*[万萬亿億]|[^万萬亿億]+", numeral):
        scale = _MYRIADS.get(part[-1], 1)
        small = _small(part[:-1] if scale > 1 else part, after=total > 0)
        if small is None or scale >= largest:
            return None
        total, largest = total + small * scale, scale
    return total


def _small(part: str, *, after: bool) -> int | None:
    """Up to 9,999, in order; `after` a larger part it has to say how large it is itself."""
    if not part:
        return None if after else 1
    total, digit, last, zero = 0, None, 10**4, False
    for char in part:
        if char in _TENS:
            if _TENS[char] >= last or digit == 0:
                return None
            total, last, digit, zero = total + (1 if digit is None else digit) * _TENS[char], _TENS[char], None, False
        elif digit is not None:
            return None
        elif _DIGITS[char] == 0:
            zero = True
        else:
            digit = _DIGITS[char]
    if digit is None:
        return None if zero and total else total
    # 三百二 is 320 where people speak, 三百零二 is not.
    return total + digit if last == 10 or zero or (last == 10**4 and not after) else None
