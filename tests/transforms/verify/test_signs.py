import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.transforms.verify.signs import signs


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("AA-", "AA"), ("BBB−", "BBB"), ("Cl-", "Cl"), ("-5", "5"), ("－5", "5"), ("- 5", "5"), ("(5)", "5")),
        *((".5", "5"), (">12", "<12"), ("≥ 18", "≤ 18"), ("x<y", "x>y"), ("turn ←", "turn →"), ("10^-6", "10^6")),
        *(("10⁻⁶", "10⁶"), ("F♯ minor", "F minor"), ("6'1\"", "61"), ('6"', "6'"), ("6″", "6′"), ("A*", "A")),
        *(("5!", "5"), ("Oslo?", "Oslo"), ("±5", "5"), ("C♭", "C"), ("#5", "5"), ("@home", "home")),
        *(("12 MW", "12 mW"), ("12 kn", "12 kN"), ("5K", "5k"), ("!Paris", "Paris")),
    ],
)
def test_signs_that_mean_something_stay(one: str, other: str) -> None:
    assert signs(one) != signs(other)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Paris.",
            "**Oslo**",
            "“Oslo”",
            '"Oslo"',
            "`Oslo`",
            "Guinea-Bissau",
            "Oslo – Bergen",
            "Tom & Jerry",
            "Kenya (Africa)",
        ),
        *(
            'the "Apollo 11" mission',
            "Côte d'Ivoire",
            "U.S.A.",
            "Paris, France",
            "東京。",
            "1,234",
            "1914–1918",
            "AC/DC",
        ),
    ],
)
def test_marks_that_mean_nothing_are_no_signs(text: str) -> None:
    assert signs(text) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("≥ 18", "≥18"),
        ("x = -5", "x=−5"),
        ("6″", '6"'),
        ("5'10”", "5′10″"),
        ("－5", "-5"),
        ("5 PM", "5 pm"),
        ("12TH", "12th"),
    ],
)
def test_one_sign_in_several_writings(one: str, other: str) -> None:
    assert signs(one) == signs(other)


@given(st.text(max_size=300))
def test_any_text_has_signs_or_none(text: str) -> None:
    assert len(signs(text)) <= 4 * len(text)
