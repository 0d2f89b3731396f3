"""An answer whose meaning was changed is never right, one that was rewritten is never wrong; in seven languages."""

import random
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verifying import make_seed

from gog.schemas import AnswerType, Outcome
from gog.transforms.verify.rules import check

Draw = random.Random
NUMBER, DATE, STRING, YES_NO = AnswerType.NUMBER, AnswerType.DATE, AnswerType.STRING, AnswerType.YES_NO


def listed(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split(" | ")]


DASHES = "-−‐‑‒–—―﹣－➖⁻"
NEGATIVE = listed("""
    -{} | −{} | ‐{} | ‑{} | ‒{} | –{} | —{} | ―{} | ﹣{} | －{} | ➖{} | ⁻{} | minus {} | negative {}
    negativ {} | menos {} | moins {} | 负{} | 零下{} | マイナス{} | سالب {} | ناقص {} | - {}
""")
SCALES = {
    1e3: ["thousand", "Tausend", "mil", "mille", "千", "ألف", "k", "K"],
    1e6: [
        "million",
        "millions",
        "mln",
        "Mio.",
        "Millionen",
        "millones",
        "millions",
        "百万",
        "百萬",
        "مليون",
        "M",
        "mn",
    ],
    1e4: ["万", "萬", "만"],
    1e7: ["crore", "千万"],
    1e5: ["lakh"],
    1e8: ["亿", "億", "억"],
    1e9: ["billion", "bn", "Milliarden", "Mrd.", "mil millones", "milliards", "十亿", "مليار", "B"],
}
UNITS = {
    "km": ["km", "kilometres", "Kilometer", "kilómetros", "kilomètres", "公里", "キロメートル", "كيلومتر"],
    "kg": ["kg", "kilograms", "Kilogramm", "kilogramos", "kilogrammes", "公斤", "キログラム", "كيلوغرام"],
    "hours": ["hours", "h", "Stunden", "horas", "heures", "小时", "時間", "ساعات"],
    "years": ["years", "Jahre", "años", "ans", "年", "سنوات"],
    "°C": ["°C", "degrees Celsius", "Grad Celsius", "grados Celsius", "degrés Celsius", "摄氏度"],
    "%": ["%", "percent", "per cent", "Prozent", "por ciento", "pour cent", "パーセント", "٪"],
    "$": ["$", "dollars", "Dollar", "dólares", "美元", "ドル"],
    "miles": ["miles", "Meilen", "millas", "milles", "英里", "マイル", "ميل"],
}
OTHER_UNITS = listed("""
    m | cm | mm | feet | light years | lb | oz | t | minutes | seconds | days | decades | °F | K | € | £
    miles per gallon | km per hour | km² | W/m2 | degrees south | minutes of arc | times | dozen
    percentage points | in | ' | " | ′ | ″ | hp | GHz | MB | CAD | 倍 | 度 | тысяч | шт
""")
BOUNDS = listed("""
    not {} | no {} | isn't {} | {} is wrong | nicht {} | kein {} | no es {} | nunca {} | pas {}
    ce n'est pas {} | 不是{} | 没有{} | {}ではない | {}じゃない | ليس {} | غير {} | without {} | ohne {} | sin {}
    sans {} | more than {} | less than {} | over {} | under {} | at least {} | up to {} | exceeds {}
    minimum {} | {} or more | mehr als {} | weniger als {} | mindestens {} | bis {} | más de {} | menos de {}
    al menos {} | plus de {} | moins de {} | au moins {} | 超过{} | 不到{} | {}以上 | {}以下 | {}未満 | {}を超える
    أكثر من {} | أقل من {} | >{} | <{} | ≥ {} | ≤{} | ≠{} | ±{} | √{} | {}+ | {}! | {}? | {}^2 | {}² | 1/{}
    10^{} | ~{}±1 | twice {} | half of {} | double {} | doppelt {} | das Doppelte von {} | el doble de {}
    le double de {} | {}の半分 | ضعف {} | maybe {} | perhaps {} | vielleicht {} | quizás {} | peut-être {} | 也许{}
    たぶん{} | ربما {} | unlikely {} | {} or {other} | {} oder {other} | {} o {other} | {} ou {other}
    {}或{other} | {}か{other} | {} أو {other} | {}, {other} | {} / {other} | {}; {other} | {} and {other}
    {} und {other} | first {}, then {other} | {} ({other}) | {}. No, {other} | {}, nein, {other}
    not {} but {other} | {}% of {other} | {}th | ({}) | -({}) | -{{{}}} | [-{}] | {}:30 | {}.{other}.1 | 0.{}
""")


def value_of(draw: Draw) -> int:
    return draw.choice([draw.randrange(2, 100), draw.randrange(100, 10_000), draw.randrange(10_000, 10**9)])


def written(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")


def changed_number(draw: Draw) -> tuple[str, str]:
    """An answer and the gold number that it is not."""
    value, other = value_of(draw), value_of(draw)
    if other == value:
        other += 1
    unit = draw.choice(["", *UNITS])
    gold = f"{value} {unit}".strip()
    number = str(value)
    same = draw.choice(UNITS[unit]) if unit else ""
    tail = f" {same}".rstrip()
    kind = draw.randrange(6)
    if kind == 0:
        negative = draw.choice(NEGATIVE).format(number)
        return draw.choice([f"{negative}{tail}", f"It is {negative}{tail}.", f"{number}{draw.choice(DASHES)}"]), gold
    if kind == 1:
        scale = draw.choice([name for names in SCALES.values() for name in names])
        return f"{number} {scale}{tail}" if draw.random() < 0.5 else f"{number}{scale}", gold
    if kind == 2:
        unit = unit or "km"
        gold = f"{value} {unit}"
        wrong = draw.choice(OTHER_UNITS + [name for key, names in UNITS.items() if key != unit for name in names])
        return f"{number} {wrong}", gold
    if kind == 3:
        moved = [
            f"{number}0",
            f".{number}",
            f"0.{number}",
            f"{number}000",
            f"-.{number}",
            f"{number[:-1]}.{number[-1]}",
        ]
        return draw.choice([*moved, f"{value * 10:,}", written(value / 10), written(value / 100)]) + tail, gold
    if kind == 4:
        return draw.choice(BOUNDS).format(number, other=other) + (tail if draw.random() < 0.3 else ""), gold
    return f"{other}{tail}" if not close(value, other) else f"{value * 2}{tail}", gold


def close(one: float, other: float) -> bool:
    return abs(one - other) <= 0.005 * max(abs(one), abs(other))


NAMES = listed("""
    Paris | Kenya | AB | AA | Cl | F minor | Boeing 747 | Apollo 11 | 東京 | القاهرة | São Paulo | x | 21 Savage
""")
SUFFIXES = listed("""
    {}- | {}− | {}+ | {}++ | {}# | {}♯ | {}♭ | {}* | {}' | {}? | {} or Oslo | {} oder Oslo | {} ou Oslo
    {} o Oslo | {}或东京 | {} أو لندن | {} (not) | {} is wrong | {}, Oslo | {}ではない | {} minor | {} 2 | {}² | {}→
    {} < | {} 12
""")
PREFIXES = listed("""
    not {} | nicht {} | no {} | pas {} | 不是{} | ليس {} | -{} | −{} | >{} | <{} | ≤{} | ~{} | either {}
    unlike {} | anti-{} | north of {} | It is not {} | This Is {} | He Is {} | near {} | im Gegensatz zu {}
    loin de {} | lejos de {} | 除了{}
""")


def changed_name(draw: Draw) -> tuple[str, str]:
    name = draw.choice(NAMES)
    return draw.choice(SUFFIXES + PREFIXES).format(name), name


MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


OTHER_DATES = listed("""
    {other} | {day} {month} {other} | {year} BC | before {year} | after {year} | not {year} | nicht {year} | {other}年
    the {decade}s | {year} or {other} | vor {year} | antes de {year} | avant {year} | {year}年以前 | قبل {year}
    -{year} | {year}–{other} | since {year} | by {year} | early {decade}s | {year}? | c. {decade}s | spring {year} or so
""")


def changed_date(draw: Draw) -> tuple[str, str]:
    year, month, day = draw.randrange(1100, 2030), draw.randrange(12), draw.randrange(1, 28)
    gold = draw.choice([f"{year}", f"{day} {MONTHS[month]} {year}", f"{year}-{month + 1:02d}-{day:02d}"])
    other = year + draw.choice([-100, -1, 1, 10, 1000])
    template = draw.choice(OTHER_DATES)
    return template.format(year=year, other=other, day=day, month=MONTHS[month], decade=year // 10 * 10), gold


YES = listed("""
    yes | Yes, it is | true | ja | oui | sí | 是 | はい | نعم
""")
TAKEN_BACK = listed("""
    {}, but no | {}, no | not {} | {} and no | {}? no | {}, it is not | {}, it isn't | {}. Actually no
    {}, aber nein | {}, pero no | {}, mais non | {}，不 | {}、でも違う | نعم، لكن لا | no | nein | non | 不是 | いいえ
    لا
""")


CHANGES: list[tuple[AnswerType, Callable[[Draw], tuple[str, str]]]] = [
    *((STRING, changed_number), (STRING, changed_name), (STRING, changed_name), (STRING, changed_date)),
    *((DATE, changed_date), (DATE, changed_date)),
]


def changed(draw: Draw) -> tuple[str, str, AnswerType]:
    """An answer, and a gold that it does not mean."""
    kind, make = draw.choice([*[(NUMBER, changed_number)] * 5, *CHANGES])
    if draw.random() < 0.05:
        return draw.choice(TAKEN_BACK).format(draw.choice(YES)), "yes", YES_NO
    return *make(draw), kind


LEADS = listed("""
    {} | {}. | It is {}. | The answer is {} | **{}** | about {} | exactly {} | 答案是{} | Es sind {} | Son {}
    Il y en a {} | {}です | هو {} | `{}` | “{}” | It's {} | approximately {} | I count {}. | Das sind {} | ~{}
    roughly {}
""")
CONVERTED = listed("""
    {} km = {} m x 1000 | {} h = {} minutes x 60 | {} kg = {} g x 1000 | {} centuries = {} years x 100
    {} years = {} months x 12 | {} GHz = {} MHz x 1000 | {} kWh = {} Wh x 1000 | {} miles = {} m x 1609.344
    {} Stunden = {} minutes x 60 | {} kilómetros = {} m x 1000 | {}公里 = {} m x 1000
    {} gallons = {} litres x 3.785 | {} hp = {} kW x 0.7457 | {} dozen = {} x 12 | {} GB = {} MB x 1000
    {} light years = {} parsecs x 0.3066
""")
ONES = listed("""
    zero | one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve | thirteen
    fourteen | fifteen | sixteen | seventeen | eighteen
""")
WORDS = {
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn".split(),  # noqa: SIM905
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez".split(),  # noqa: SIM905
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix".split(),  # noqa: SIM905
    "zh": "零一二三四五六七八九十",
    "ar": "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة عشرة".split(),  # noqa: SIM905
}


def same_number(draw: Draw) -> tuple[str, str]:
    """An answer and a gold number of one meaning."""
    value = value_of(draw)
    kind = draw.randrange(9)
    lead = draw.choice(LEADS)
    if kind == 0:
        gold = draw.choice([str(value), f"{value:,}", f"{value}.0"])
        grouped = [f"{value:,}".replace(",", mark) for mark in ",. '"]
        forms = [*grouped, str(value), f"{value}.00", f"+{value}", f"{value},0", f"{value}.", f"0{value}"]
        return lead.format(draw.choice(forms)), gold
    if kind == 1:
        scale = draw.choice([1e3, 1e6, 1e9, 1e4, 1e8])
        few = draw.randrange(1, 999)
        name = draw.choice(SCALES[scale])
        money = draw.random() < 0.3
        text = f"{few}{draw.choice(['', ' '])}{name}"
        return lead.format(f"${text}" if money else text), written(
            few * scale
        ) if not money else f"${few * int(scale):,}"
    if kind == 2:
        answer, gold, factor = re.split(" = | x ", draw.choice(CONVERTED))
        few = draw.randrange(1, 500)
        return lead.format(answer.format(few)), gold.format(written(few * float(factor)))
    if kind == 3:
        unit = draw.choice(list(UNITS))
        return lead.format(f"{value} {draw.choice(UNITS[unit])}"), f"{value} {unit}"
    if kind == 4:
        few = draw.randrange(0, 11)
        language = draw.choice(list(WORDS))
        return lead.format(draw.choice([ONES[few], WORDS[language][few]])), str(few)
    if kind == 5:
        return draw.choice(NEGATIVE).format(value), f"-{value}"
    if kind == 6:
        return draw.choice([f"{value / 100}", f"{value}%", f"{value} %", f"{value / 100:.4f}"]), f"{value}%"
    if kind == 7:
        low, high = sorted([draw.randrange(1, 50), draw.randrange(51, 99)])
        inside = draw.randrange(low, high + 1)
        sep = draw.choice(["-", "–", " to ", " bis ", "~"])
        return f"{inside} million", f"{low}{sep}{high} million"
    tens = draw.choice(["twenty", "thirty", "forty", "fifty"])
    nth = draw.choice([("first", "1st"), ("second", "2nd"), ("third", "3rd"), ("fifth", "5th")])
    number = {"twenty": 2, "thirty": 3, "forty": 4, "fifty": 5}[tens]
    return f"{tens}-{nth[0]}", f"{number}{nth[1]}"


def same_name(draw: Draw) -> tuple[str, str]:
    name = draw.choice(NAMES)
    return draw.choice(LEADS).format(draw.choice([name, name.lower(), name.upper(), f"the {name}", f"{name} "])), name


def same_date(draw: Draw) -> tuple[str, str]:
    year, month, day = draw.randrange(1100, 2030), draw.randrange(12), draw.randrange(1, 28)
    name, number, short = MONTHS[month], month + 1, f"{year % 100:02d}"
    full = [f"{day} {name} {year}", f"{name} {day}, {year}", f"{year}-{number:02d}-{day:02d}"]
    forms = [*full, f"{day:02d}.{number:02d}.{year}", f"{number}/{day}/{year}", f"{year}年{number}月{day}日", f"{year}"]
    forms += [f"{day}-{name[:3]}-{short}", f"{day} {name[:3]} {short}"]
    return draw.choice(forms), draw.choice(full)


def same(draw: Draw) -> tuple[str, str, AnswerType]:
    """An answer, and a gold that it means."""
    if draw.random() < 0.05:
        return draw.choice(["{}", "{}.", "{}!", "**{}**", "It is: {}"]).format(draw.choice(YES)), "yes", YES_NO
    kind, make = draw.choices([(NUMBER, same_number), (STRING, same_name), (DATE, same_date)], [5, 2, 2])[0]
    return *make(draw), kind


batches = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
BATCH = 100
"""Pairs drawn from one seed: Hypothesis draws the seeds, 100,000 pairs a test."""


@pytest.mark.slow
@given(st.integers(0, 2**63))
@batches
def test_a_changed_meaning_is_never_right(seed: int) -> None:
    for offset in range(BATCH):
        answer, gold, kind = changed(random.Random(seed + offset))
        assert check(answer, make_seed(gold, kind=kind))[0] is not Outcome.CORRECT, (answer, gold, kind)


@pytest.mark.slow
@given(st.integers(0, 2**63))
@batches
def test_a_meaning_that_is_kept_is_never_wrong(seed: int) -> None:
    for offset in range(BATCH):
        answer, gold, kind = same(random.Random(seed + offset))
        assert check(answer, make_seed(gold, kind=kind))[0] is not Outcome.WRONG, (answer, gold, kind)
