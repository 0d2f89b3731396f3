"""Numbers in words and Chinese numerals: what is read is what was written, and what is read in two ways is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.verify.numerals import in_digits

DIGITS, TENS = "零一二三四五六七八九", "千百十"


def chinese(number: int) -> str:
    """The numeral of a number below 10**8, with a 零 wherever a place is skipped."""
    high, low = divmod(number, 10_000)
    if high:
        return chinese(high) + "万" + (("零" if low < 1000 else "") + chinese(low) if low else "")
    written, gap = "", False
    for place, name in zip((1000, 100, 10, 1), (*TENS, ""), strict=True):
        digit = number // place % 10
        if digit:
            written += ("零" if gap and written else "") + DIGITS[digit] + name
        gap = not digit
    return written


@given(st.integers(1, 10**8 - 1))
def test_a_numeral_is_the_number_that_it_was_written_for(number: int) -> None:
    assert in_digits(chinese(number)) == str(number)


@given(st.text(alphabet=f"{DIGITS}〇两{TENS}万亿", min_size=1, max_size=8))
def test_what_is_read_has_one_reading(numeral: str) -> None:
    """Written anew it is the same, but for what may be left out or written otherwise."""
    value = in_digits(numeral)
    if value and 0 < int(value) < 10**8 and set(numeral) & set(TENS):
        bare = str.maketrans({"〇": "零", "两": "二"})
        again, plain = chinese(int(value)), numeral.translate(bare)
        assert again.replace("一", "").replace("零", "") == plain.replace("一", "").replace("零", "")


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        *(("二十一", "21"), ("三百零二", "302"), ("一千二百万", "12000000"), ("二〇二四", "2024"), ("三百人", "300人")),
        *(
            ("zwölf Kilometer", "12 Kilometer"),
            ("Dix-neuf", "19"),
            ("veinte", "20"),
            ("عشرون", "20"),
            ("quatre-vingt-dix", "90"),
        ),
    ],
)
def test_words_and_numerals(written: str, digits: str) -> None:
    assert in_digits(written) == digits


@pytest.mark.parametrize(
    "written",
    [
        *("三百二", "两三", "十五六", "一万二", "五六十", "两", "一二百", "万一", "百百", "十千"),
        *("once", "seize", "elf", "UN", "cent", "sept", "", "word", "12", "a " * 200),
    ],
)
def test_what_has_two_readings_or_none_is_left(written: str) -> None:
    assert in_digits(written) == ""


WORDS = {
    30: "trente treinta dreißig ثلاثون",
    40: "quarante cuarenta vierzig أربعون",
    50: "cinquante cincuenta fünfzig خمسون",
    60: "soixante sesenta sechzig ستون",
    70: "soixante-dix setenta siebzig سبعون",
    80: "quatre-vingts quatre-vingt ochenta achtzig ثمانون",
    90: "quatre-vingt-dix noventa neunzig تسعون",
    100: "cien hundert einhundert مئة مائة",
    2: "zwei dos deux اثنان اثنين",
    9: "neun nueve neuf تسعة",
    10: "zehn diez dix عشرة",
    12: "zwölf doce douze",
    16: "sechzehn dieciséis",
    20: "zwanzig veinte vingt عشرون",
}


@pytest.mark.parametrize(("value", "word"), [(value, word) for value, words in WORDS.items() for word in words.split()])
def test_a_number_in_words_is_the_number(value: int, word: str) -> None:
    assert in_digits(word) == str(value)
    assert in_digits(f"{word} metre") == f"{value} metre"
