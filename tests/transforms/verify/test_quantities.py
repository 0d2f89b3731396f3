import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gog.schemas import Outcome
from gog.transforms.verify.quantities import compare, parse, within
from gog.transforms.verify.units import unit_of


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("12", 12, ""),
        ("about 12 flags", 12, ""),
        ("exactly 12 people in total", 12, ""),
        ("1,234,567.5", 1234567.5, ""),
        ("12,34,567", 1234567, ""),
        ("1.234.567,5", 1234567.5, ""),
        ("1 234 567", 1234567, ""),
        ("1'234'567", 1234567, ""),
        ("3,5", 3.5, ""),
        (".5", 0.5, ""),
        ("1.2 million", 1_200_000, ""),
        ("5 hundred thousand", 500_000, ""),
        ("5 Millionen", 5_000_000, ""),
        ("5 mrd. Euro", 5e9, "€"),
        ("2,5 millones", 2_500_000, ""),
        ("5百万", 5_000_000, ""),
        ("5천", 5000, ""),
        ("$1.2 million", 1_200_000, "$"),
        ("$5M", 5_000_000, "$"),
        ("$-5", -5, "$"),
        ("-$5", -5, "$"),
        ("US$ 5 billion", 5e9, "USD"),
        ("C$5", 5, "CAD"),
        ("€ 1.234,50", 1234.5, "€"),
        ("5k", 5000, ""),
        ("3万", 30_000, ""),
        ("1.2e6", 1_200_000, ""),
        ("1.2 × 10⁶ km", 1_200_000, "km"),
        ("5 x 10^-3", 0.005, ""),
        ("−5 °C", -5, "°C"),
        ("negative five", -5, ""),
        ("➖5", -5, ""),
        ("100 km²", 100, "km^2"),
        ("12 square kilometres", 12, "sq km"),
        ("60 km/h", 60, "kilometres per hour"),
        ("45 per cent", 45, "%"),
        ("45 Prozent", 45, "%"),
        ("5 kilómetros", 5, "km"),
        ("5小时", 5, "hours"),
        ("twelve", 12, ""),
        ("a dozen", 12, ""),
        ("twelve (12)", 12, ""),
        ("½", 0.5, ""),
        ("3½", 3.5, ""),
        ("3/4", 0.75, ""),
        ("none", 0, ""),
        ("٣٤", 34, ""),
        ("共12个", 12, ""),
        ("007", 7, ""),
        ("**12**", 12, ""),
    ],
)
def test_one_number_is_read(text: str, value: float, unit: str) -> None:
    first = parse(text)[0]
    assert first.low == first.high == pytest.approx(value)
    assert first.unit == (unit_of(unit) if unit else None)


@pytest.mark.parametrize(("text", "readings"), [("1,234", [1234, 1.234]), ("8.849", [8.849, 8849]), ("0.123", [0.123])])
def test_a_mark_that_may_group_or_part_keeps_both_readings(text: str, readings: list[float]) -> None:
    assert [one.low for one in parse(text)] == readings


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("10-12", 10, 12),
        ("10–12 km", 10, 12),
        ("10 to 12 km", 10, 12),
        ("between 10 and 12", 10, 12),
        ("from 10 to 12", 10, 12),
        ("-3 to -1", -3, -1),
        ("25–30 million", 25e6, 30e6),
        ("$10-$12", 10, 12),
    ],
)
def test_a_range_is_read(text: str, low: float, high: float) -> None:
    assert parse(text)[0][:2] == (low, high)


UNREAD = [
    *("", "many", "12 or 13", "5 and 6", "not 12", "more than 12", "up to 12", "12 or so, maybe 13", "1,2,3", "1.2.3"),
    *(
        "12:30",
        "2020-03-12",
        "the 1990s",
        "covid19",
        "12±1",
        "1e999",
        "9" * 5000,
        "1/0",
        "the one on the left",
        "0,123",
    ),
    *("!!!", "𝔘𝔫𝔨", "3 red, 4 blue, 5 green", "I cannot see but 12", "12-10", "5-", "(5)", "√12", ">12", "12+", "10^6"),
    *(
        "twenty-first",
        "thirty-second",
        "thirty second",
        "three quarters",
        "one tenth",
        "point five",
        "1m78",
        "6'",
        '6"',
    ),
    *(
        "5 mil",
        "330M",
        "5 C",
        "30 miles per gallon",
        "500 W/m2",
        "5 feet per second squared",
        "5 degrees south",
        "$5 CAD",
    ),
    *("12以上", "不到12", "nicht 12", "más de 12", "более 12", "minimum 12", "twice 12", "12 is wrong", "12?", "12!"),
    *("moins 5", "零下5度", "--5", "- 5", "minus -5", "21 Savage", "45th president"),
]


@pytest.mark.parametrize("text", UNREAD)
def test_what_is_more_or_less_than_a_number_is_not_read(text: str) -> None:
    assert parse(text) == ()


@given(st.text(max_size=400))
def test_any_text_is_read_or_not_without_trouble(text: str) -> None:
    assert all(math.isfinite(one.low) and one.low <= one.high for one in parse(text))


@given(st.text(alphabet="0123456789.,-–/ e×^km%$", max_size=60))
def test_any_mess_of_digits_is_read_or_not_without_trouble(text: str) -> None:
    assert all(math.isfinite(one.low) and one.low <= one.high for one in parse(text))


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers_are_equal_to_themselves_in_any_writing(value: int) -> None:
    plain, grouped = parse(str(value)), parse(f"{value:,}")
    assert compare(grouped, plain) is Outcome.CORRECT


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_of_two_years_or_counts_only_the_same_is_right(one: int, other: int) -> None:
    said, gold = parse(str(one)), parse(str(other))
    if one == other:
        assert compare(said, gold) is Outcome.CORRECT
    elif max(one, other) < 1000 or (one % 10 and other % 10):
        assert compare(said, gold) is Outcome.WRONG
    else:
        assert compare(said, gold) is not Outcome.CORRECT or abs(one - other) <= 0.005 * max(one, other)


@pytest.mark.parametrize(
    ("said", "gold", "outcome"),
    [
        ("8,849 m", "8848.86 m", Outcome.CORRECT),
        ("29,032 ft", "8848.86 m", Outcome.CORRECT),
        ("8.849 km", "8848.86 m", Outcome.UNKNOWN),
        ("8.849 km", "about 8.849 km", Outcome.CORRECT),
        ("5.000", "5", Outcome.UNKNOWN),
        ("8.9 km", "8848.86 m", Outcome.WRONG),
        ("9 km", "8848.86 m", Outcome.UNKNOWN),
        ("8.8 km", "8848.86 m", Outcome.UNKNOWN),
        ("1.2 million", "1234567", Outcome.UNKNOWN),
        ("1.23 million", "1234567", Outcome.CORRECT),
        ("1,230,000", "1234567", Outcome.CORRECT),
        ("1.3 million", "1234567", Outcome.WRONG),
        ("10", "12", Outcome.WRONG),
        ("1995", "1994", Outcome.WRONG),
        ("212 °F", "100 °C", Outcome.CORRECT),
        ("45", "45%", Outcome.CORRECT),
        ("0.45", "45%", Outcome.UNKNOWN),
        ("45%", "0.45", Outcome.UNKNOWN),
        ("46", "45%", Outcome.WRONG),
        ("8.849", "8849", Outcome.UNKNOWN),
        ("3,141", "3.141", Outcome.UNKNOWN),
        ("1.234 m", "1,234 m", Outcome.UNKNOWN),
        ("about 300", "300", Outcome.CORRECT),
        ("about 300", "305", Outcome.UNKNOWN),
        ("2 million", "25–30 million", Outcome.UNKNOWN),
        ("26 million", "25–30 million", Outcome.CORRECT),
        ("5 km", "5", Outcome.UNKNOWN),
        ("2.4 GHz", "2400 MHz", Outcome.CORRECT),
        ("$5 million", "5 million dollars", Outcome.CORRECT),
        ("5 kg", "5 m", Outcome.UNKNOWN),
        ("12 rooms", "12 floors", Outcome.UNKNOWN),
        ("12 m", "12 floors", Outcome.UNKNOWN),
        ("12th", "12", Outcome.UNKNOWN),
        ("13th", "12", Outcome.WRONG),
        ("4/5", "4", Outcome.UNKNOWN),
        ("0.333", "1/3", Outcome.CORRECT),
        ("12-14", "13", Outcome.UNKNOWN),
        ("14-16", "13", Outcome.WRONG),
    ],
)
def test_equal_means_to_the_precision_that_is_written(said: str, gold: str, outcome: Outcome) -> None:
    answer, wanted = parse(said), parse(gold)
    assert compare(answer, wanted) is outcome


@given(st.floats(-1e9, 1e9), st.floats(0, 1e6), st.floats(-1e9, 1e9))
def test_a_range_is_met_inside_and_missed_outside(low: float, width: float, value: float) -> None:
    said = parse(f"{value:.6f}")
    outcome = within(said, low, low + width)
    slack = 1e-8 * max(1.0, abs(low), abs(low + width))
    if low + slack <= said[0].low <= low + width - slack:
        assert outcome is Outcome.CORRECT
    if said[0].low < low - slack or said[0].low > low + width + slack:
        assert outcome is Outcome.WRONG


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            ("km", "kilomètres"),
            ("°C", "° C"),
            ("degrees Celsius", "°C"),
            ("sq. km", "km2"),
            ("m/s", "metres per second"),
        ),
        *(
            ("%", "per cent"),
            ("MW", "megawatts"),
            ("KWh".replace("K", "k"), "kilowatt hours"),
            ("centuries", "century"),
        ),
    ],
)
def test_names_of_one_unit(one: str, other: str) -> None:
    assert unit_of(one) is not None
    assert unit_of(one) == unit_of(other)


@pytest.mark.parametrize("phrase", ["mW", "KM", "second", "miles per gallon", "km south", "flags", "", "C", "m3/s"])
def test_what_is_in_no_table_is_no_unit(phrase: str) -> None:
    assert unit_of(phrase) is None


@pytest.mark.parametrize(
    ("one", "factor", "base"),
    [
        *[("kilometre", 1e3, "metre"), ("centimeter", 1e-2, "m"), ("mm", 1e-3, "m"), ("μm", 1e-6, "m")],
        *[("nanometre", 1e-9, "metre"), ("foot", 0.3048, "m"), ("inch", 0.0254, "m"), ("yd", 0.9144, "m")],
        *[("mile", 1609.344, "m"), ("nautical mile", 1852, "m"), ("light-year", 9.4607304725808e15, "m")],
        *[("min", 60, "s"), ("hour", 60, "min"), ("day", 24, "hour"), ("week", 7, "day")],
        *[("kg", 1e3, "g"), ("mg", 1e-3, "g"), ("tonne", 1e3, "kg"), ("pound", 0.45359237, "kg")],
        *[("ounce", 1 / 16, "lb"), ("year", 12, "month"), ("decade", 10, "year"), ("century", 10, "decade")],
        *[("hectare", 1e4, "m2"), ("acre", 4046.8564224, "square metres"), ("km2", 1e6, "m2"), ("m3", 1e3, "litre")],
        *[
            ("kilovolt", 1e3, "volt"),
            ("kV", 1e3, "V"),
            ("kHz", 1e3, "Hz"),
            ("megahertz", 1e6, "hertz"),
            ("GHz", 1e3, "MHz"),
        ],
        *[("hPa", 1e2, "Pa"), ("kilopascal", 1e3, "pascal"), ("MPa", 1e3, "kPa")],
        *[("MWh", 1e3, "kWh"), ("gigawatt hour", 1e3, "megawatt-hour"), ("km/h", 1 / 3.6, "m/s")],
        *[("miles per hour", 0.44704, "metres per second")],
    ],
)
def test_units_of_one_kind_are_so_many_of_each_other(one: str, factor: float, base: str) -> None:
    larger, smaller = unit_of(one), unit_of(base)
    assert larger is not None
    assert smaller is not None
    assert larger.dimension == smaller.dimension
    assert larger.factor / smaller.factor == pytest.approx(factor, rel=1e-9)


def test_each_currency_is_one_of_its_own() -> None:
    signs = {
        "dollar": "$ dollar",
        "usd": "US$ USD",
        "cad": "C$ CA$ CAD",
        "aud": "A$ AU$ AUD",
        "nzd": "NZ$ NZD",
        "hkd": "HK$ HKD",
        "sgd": "S$ SGD",
        "brl": "R$ BRL",
        "eur": "€ EUR euro euros",
        "gbp": "£ GBP",
        "yen or yuan": "¥",
        "jpy": "JPY yen 円",
        "cny": "CNY RMB yuan renminbi",
        "rupee": "₹ rupee rupees",
        "inr": "INR",
        "krw": "₩ KRW won",
        "rub": "₽ RUB rouble ruble",
        "chf": "CHF",
    }
    for name, written in signs.items():
        for sign in written.split():
            unit = unit_of(sign)
            assert unit is not None, sign
            assert (unit.dimension, unit.factor) == (name, 1.0)
