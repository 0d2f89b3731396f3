import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.verify.normalise import contains, fold, normalise, squeezed, unwrapped, visible


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The U.S.A.", "USA"),
        ("Côte d'Ivoire", "COTE D’IVOIRE"),
        ("Guinea-Bissau", "guinea bissau"),
        ("Straße", "STRASSE"),
        ("Kenya\u200b\u200e", "kenya"),
        ("\u202eKenya\u202c", "Kenya"),
        ("**Kenya**.", "Kenya"),
        ("1,234,567", "1234567"),
        ("twenty-one", "21"),
        ("two thousand and five", "2005"),
        ("a dozen", "12"),
        ("Tom & Jerry", "Tom and Jerry"),
        ("٣٤", "34"),
        ("４２", "42"),
        ("مِصْر", "مصر"),
        ("北京。", "北京"),
        ("ガギグ", "ガギグ"),
        ("45%", "45 per cent".replace("per cent", "percent")),
        ("Łódź", "Lodz"),
    ],
)
def test_forms_of_one_name_are_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C", "C++"),
        ("C", "C#"),
        ("3.5", "35"),
        ("-5", "5"),
        ("3½", "31/2"),
        ("10⁶", "106"),
        ("北京", "南京"),
        ("का", "की"),
        ("ที่", "ทา"),
        ("five six", "eleven"),
        ("$5", "€5"),
        ("Vitamin A", "Vitamin"),
        ("!!!", "???"),
        ("ガ", "カ"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text(max_size=300))
def test_only_blank_text_normalises_to_nothing(text: str) -> None:
    assert bool(normalise(text)) == bool(fold(text).strip())


@given(st.text(max_size=60))
def test_case_and_space_around_do_not_matter(text: str) -> None:
    assert normalise(f"  {text}\n") == normalise(text)


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), max_size=60))
def test_plain_text_is_folded_alike_with_and_without_the_short_cut(text: str) -> None:
    assert fold(text) == fold(text + "\u200b")


@given(st.integers(0, 999_999_999))
def test_number_words_become_their_digits(value: int) -> None:
    assert normalise(_spelt(value)) == str(value)


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety"


def _spelt(value: int) -> str:
    ones, tens = _ONES.split(" "), _TENS.split(" ")
    if value < 20:
        return ones[value]
    if value < 100:
        return tens[value // 10] + (f"-{ones[value % 10]}" if value % 10 else "")
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = value % size
            joint = " and " if size == 100 else " "
            return f"{_spelt(value // size)} {name}" + (f"{joint}{_spelt(rest)}" if rest else "")
    raise AssertionError(value)


def test_contains_goes_by_whole_words() -> None:
    text = normalise("Kenya's capital is Nairobi (not in Nigeria).")
    assert contains(text, "kenya")
    assert contains(text, "nairobi")
    assert not contains(text, "niger")
    assert not contains(text, "")
    assert contains(normalise("首都是内罗毕。"), normalise("内罗毕"))


def test_spaces_in_names_may_be_left_out_but_not_between_digits() -> None:
    assert squeezed("space x") == "spacex"
    assert squeezed("12 3") == "12 3"


@pytest.mark.parametrize("around", ["**", "``", '""', "“”", "''", "‘’", "«»", "「」"])
def test_what_stands_around_all_of_it_is_taken_off(around: str) -> None:
    first, last = around[0], around[1]
    assert unwrapped(f" {first}Kenya{last} ") == "Kenya"
    assert unwrapped(f"{first}Kenya") == f"{first}Kenya"
    assert unwrapped(f"{first}a{last} and {first}b{last}") == f"{first}a{last} and {first}b{last}"


@pytest.mark.parametrize("space", ["\x07", "\t", "\x85", "\u2028", "\u2029", "\u3000", "\u00a0"])
def test_a_control_or_a_space_of_any_kind_is_a_space(space: str) -> None:
    assert visible(f"a{space}b") == visible(f"a{space}b é").removesuffix(" é") == "a b"


@pytest.mark.parametrize("nothing", ["\u200b", "\u00ad", "\ue000", "\u2066", "\ufeff"])
def test_what_is_invisible_is_nothing(nothing: str) -> None:
    assert visible(f"a{nothing}b") == "ab"
