"""The units that a rule understands, as closed tables: what is in none of them is not understood.

`pint` reads more: it takes `5 mil` for thousandths of an inch, `5 C` for coulombs and `5 k` for Boltzmann's constant,
and a unit that is guessed settles an answer wrongly. Symbols are told apart by case (`MW`, `mW`), words are not.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from gog.transforms.verify.normalise import fold


class Unit(NamedTuple):
    """A unit: what it measures, how many base units it is, and its zero (temperatures)."""

    dimension: str
    factor: float = 1.0
    offset: float = 0.0


# Symbols, then words; a word's plural with s is understood.
_LENGTHS: Final = {
    1.0: ("m", "metre meter mètre metro метр 米 متر"),
    1e3: ("km", "kilometre kilometer kilomètre kilómetro километр 公里 千米 كيلومتر"),
    1e-2: ("cm", "centimetre centimeter centimètre centímetro zentimeter 厘米 センチメートル"),
    1e-3: ("mm", "millimetre millimeter millimètre milímetro 毫米"),
    1e-6: ("μm", "micrometre micrometer"),
    1e-9: ("nm", "nanometre nanometer"),
    0.3048: ("ft", "foot feet"),
    0.0254: ("", "inch inches"),
    0.9144: ("yd", "yard"),
    1609.344: ("mi", "mile"),
}
_TIMES: Final = {
    1.0: ("s sec secs", "second sekunde sekunden segundo seconde 秒"),
    60.0: ("min mins", "minute minuto minuten 分钟"),
    3600.0: ("h hr hrs", "hour hora heure stunde stunden 小时 時間"),
    86400.0: ("", "day día dia jour tage"),
    604800.0: ("", "week"),
}
_TABLE: Final[dict[str, dict[float, tuple[str, str]]]] = {
    "length": {**_LENGTHS, 1852.0: ("nmi", "nautical|mile"), 9.4607304725808e15: ("ly", "light-year light|year")},
    "time": _TIMES,
    "mass": {
        1.0: ("kg", "kilogram kilogramme kilo kilogramo kilogramm 公斤 千克"),
        1e-3: ("g", "gram gramme gramm gramo"),
        1e-6: ("mg", "milligram milligramme"),
        1e3: ("t", "tonne metric|ton"),
        0.45359237: ("lb lbs", "pound"),
        0.028349523125: ("oz", "ounce"),
    },
    "months": {
        1.0: ("", "month mes meses mois monat monate"),
        12.0: ("yr yrs", "year año jahr jahre an ans année"),
        120.0: ("", "decade"),
        1200.0: ("", "century centuries"),
    },
    "area": {1e4: ("ha", "hectare"), 4046.8564224: ("", "acre")},
    "volume": {
        1.0: ("l L", "litre liter litro"),
        1e-3: ("ml mL", "millilitre milliliter"),
        1e-2: ("cl cL", "centilitre"),
    },
    "speed": {1 / 3.6: ("kph kmh", ""), 0.44704: ("mph", ""), 1852 / 3600: ("kn", "knot")},
    "power": {1.0: ("W", "watt"), 1e3: ("kW", "kilowatt"), 1e6: ("MW", "megawatt"), 1e9: ("GW", "gigawatt")},
    "energy": {
        1.0: ("J", "joule"),
        1e3: ("kJ", "kilojoule"),
        3600.0: ("Wh", "watt|hour watt-hour"),
        3.6e6: ("kWh", "kilowatt|hour kilowatt-hour"),
        3.6e9: ("MWh", "megawatt|hour megawatt-hour"),
        3.6e12: ("GWh", "gigawatt|hour gigawatt-hour"),
    },
    "frequency": {
        1.0: ("Hz", "hertz"),
        1e3: ("kHz", "kilohertz"),
        1e6: ("MHz", "megahertz"),
        1e9: ("GHz", "gigahertz"),
    },
    "pressure": {1.0: ("Pa", "pascal"), 1e2: ("hPa", "hectopascal"), 1e3: ("kPa", "kilopascal"), 1e6: ("MPa", "")},
    "voltage": {1.0: ("V", "volt"), 1e3: ("kV", "kilovolt")},
    "percent": {1.0: ("%", "percent per|cent prozent por|ciento pour|cent percentage процент")},
    "angle": {1.0: ("°", "degree grad")},
    # Each currency by itself. A plain dollar may be of several countries.
    "dollar": {1.0: ("$", "dollar")},
    "usd": {1.0: ("US$ USD", "us|dollar u.s.|dollar american|dollar")},
    "cad": {1.0: ("C$ CA$ CAD", "canadian|dollar")},
    "aud": {1.0: ("A$ AU$ AUD", "australian|dollar")},
    "nzd": {1.0: ("NZ$ NZD", "")},
    "hkd": {1.0: ("HK$ HKD", "")},
    "sgd": {1.0: ("S$ SGD", "")},
    "brl": {1.0: ("R$ BRL", "")},
    "eur": {1.0: ("€ EUR", "euro")},
    "gbp": {1.0: ("£ GBP", "pound|sterling pounds|sterling british|pound")},
    "yen or yuan": {1.0: ("¥", "")},
    "jpy": {1.0: ("JPY", "yen 円")},
    "cny": {1.0: ("CNY RMB", "yuan renminbi")},
    "rupee": {1.0: ("₹", "rupee")},
    "inr": {1.0: ("INR", "indian|rupee")},
    "krw": {1.0: ("₩ KRW", "won")},
    "rub": {1.0: ("₽ RUB", "rouble ruble")},
    "chf": {1.0: ("CHF", "swiss|franc")},
}

_DEGREES: Final = {
    Unit("temperature", 1.0, 273.15): ("°C ℃ ºC", "celsius centigrade"),
    Unit("temperature", 5 / 9, 273.15 - 32 * 5 / 9): ("°F ℉ ºF", "fahrenheit"),
    Unit("temperature", 1.0): ("K", "kelvin"),
}
COUNTED: Final = frozenset(
    """
    people persons person inhabitants residents citizens members players students passengers employees workers
    soldiers men women children boys girls deaths victims survivors visitors spectators seats rooms floors
    stories storeys levels steps stairs windows doors columns pillars arches towers buildings houses flats
    apartments bedrooms beds species animals birds cats dogs horses cows fish legs eyes wheels cylinders
    engines gears cars vehicles trains ships boats aircraft planes stars stripes flags colours colors
    countries states provinces counties districts cities towns villages islands lakes rivers mountains peaks
    moons planets rings languages letters words pages chapters books volumes episodes seasons films movies
    songs albums tracks games matches goals points wins titles medals championships cups awards times copies
    units items pieces parts objects things types kinds versions models votes seats teams schools universities
    churches museums bridges stations stops platforms lines lanes tunnels trees flowers leaves petals seeds 个
    個 人 名 枚 본 本 台 座 층 개 명
    """.split()  # noqa: SIM905
)
"""What is counted and changes nothing of the number. A word that is not here is not understood."""


def _names(words: str) -> list[str]:
    """Words as they are looked up, each with its plural; a `|` stands for a space."""
    singular = [word.replace("|", " ") for word in fold(words).split()]
    return [*singular, *(f"{word}s" for word in singular)]


def _tables() -> tuple[dict[str, Unit], dict[str, Unit]]:
    symbols: dict[str, Unit] = {}
    words: dict[str, Unit] = {}
    for dimension, rows in _TABLE.items():
        for factor, (short, long) in rows.items():
            symbols |= dict.fromkeys(short.split(), Unit(dimension, factor))
            words |= dict.fromkeys(_names(long), Unit(dimension, factor))
    for unit, (short, long) in _DEGREES.items():
        symbols |= dict.fromkeys(short.split(), unit)
        words |= dict.fromkeys(
            [*_names(long), *(f"{by} {name}" for by in ("degree", "degrees", "°") for name in _names(long))], unit
        )
    for metres, (short, long) in _LENGTHS.items():
        for power, dimension, adjectives in (
            (2, "area", ("square", "sq", "sq.")),
            (3, "volume", ("cubic", "cu", "cu.")),
        ):
            unit = Unit(dimension, metres**power * (1000.0 if power == 3 else 1.0))
            symbols |= {f"{name}{mark}": unit for name in short.split() for mark in (f"{power}", f"^{power}")}
            names = [*short.split(), *_names(long)]
            words |= {f"{adjective} {name}": unit for adjective in adjectives for name in names}
        for seconds, (short_time, long_time) in _TIMES.items():
            speed = Unit("speed", metres / seconds)
            symbols |= {f"{name}/{time}": speed for name in short.split() for time in short_time.split()}
            names, times = [*short.split(), *_names(long)], [*short_time.split(), *_names(long_time)]
            words |= {f"{name} {by} {time}": speed for name in names for by in ("per", "an", "a") for time in times}
    del words["second"]  # "thirty second" may be the thirty-second
    return symbols, words


_SYMBOLS, _WORDS = _tables()
_CURRENCIES: Final = frozenset(list(_TABLE)[list(_TABLE).index("dollar") :])
MONEY: Final = sorted((name for name, unit in _SYMBOLS.items() if unit.dimension in _CURRENCIES), key=len, reverse=True)
"""What may stand before an amount, the longest first."""


@lru_cache(maxsize=1024)
def unit_of(phrase: str) -> Unit | None:
    """The unit that a phrase is, all of it; None for any other. Symbols as they are, words in any case."""
    phrase = " ".join(phrase.split())
    found = _SYMBOLS.get(phrase) or _SYMBOLS.get(phrase.replace("° ", "°"))
    return found or _WORDS.get(fold(phrase))
